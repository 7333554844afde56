"""This process's connection to Redis: the API's is asynchronous, the worker's is not.

Each is made when it is first asked for.
"""

from functools import cache

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from .config import get_settings


@cache
def api_redis() -> AsyncRedis:
    """The connections of an API process. An answer of 503 is due soon, so they give up early."""
    return AsyncRedis.from_pool(
        BlockingConnectionPool.from_url(
            str(get_settings().redis_url),
            max_connections=50,
            timeout=2,
            decode_responses=True,
            socket_timeout=1,
            socket_connect_timeout=1,
            # Once, at once: after a restart of Redis every pooled connection is stale.
            retry=AsyncRetry(NoBackoff(), 1),
        )
    )


@cache
def worker_redis() -> Redis:
    """The connection of a worker: a lease has to notice a silent Redis in time."""
    settings = get_settings()
    timeout = min(1.0, settings.lease_seconds / 9)
    return Redis.from_url(
        str(settings.redis_url),
        decode_responses=True,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
