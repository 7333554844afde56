"""This process's connection to Redis, made when it is first wanted."""

from functools import cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from .config import get_settings


@cache
def get_redis() -> Redis:
    """The connection.

    A worker that waits for a silent Redis for longer than its lease lasts has lost the lease, and
    has not noticed. So the connection gives up early, and the caller decides whether to try again.
    """
    settings = get_settings()
    return Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=settings.lease_seconds / 9,
        socket_connect_timeout=settings.lease_seconds / 9,
        retry=Retry(NoBackoff(), 0),
    )


@cache
def script(lua: str) -> Script:
    """A function of this Lua script. Redis runs it in one step."""
    return get_redis().register_script(lua)
