"""The API process's connection to Redis, made when it is first used, and the runs behind it."""

from typing import Any

from redis import ResponseError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from .config import settings
from .names import Names
from .runs import Runs
from .worker_state import WorkerState, of_all

# An answer of 503 is due within three seconds, so all of this gives up early.
redis = Redis.from_pool(
    BlockingConnectionPool.from_url(
        str(settings().redis_url),
        max_connections=50,
        timeout=2,
        decode_responses=True,
        socket_timeout=1,
        socket_connect_timeout=1,
        # Once, at once: after a restart of Redis every pooled connection is stale.
        retry=Retry(NoBackoff(), 1),
    )
)
runs = Runs(redis, settings())


async def about() -> dict[str, Any]:
    """What Redis says about itself; nothing, if we may not ask."""
    try:
        return dict(await redis.info())
    except ResponseError:
        return {}


async def said_by_workers() -> WorkerState | None:
    """What the workers say of themselves; None: there is none."""
    return await of_all(redis, Names(settings().namespace))
