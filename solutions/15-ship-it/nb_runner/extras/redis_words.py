"""What Redis says, as sentences for people: its errors, and if it is fit for the runner."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from redis import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import (
    AskError,
    AuthorizationError,
    ClusterCrossSlotError,
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    TryAgainError,
)

CLUSTER = (
    "REDIS_URL names a node of a Redis Cluster. The runner needs a Redis that is none, because "
    "each of its steps is about several keys at once."
)
NOT_WRITTEN = "Redis does not take what has to be written: {}"
NOT_ALLOWED = "REDIS_URL names a user who may not do what the runner needs: {}"
# From the special to the general: the first that fits.
ERRORS: list[tuple[tuple[type[RedisError], ...], str]] = [
    ((BusyLoadingError,), "Redis is loading its data."),
    ((AuthenticationError, AuthorizationError), "Redis refuses the password of REDIS_URL: {}"),
    ((ConnectionError, TimeoutError), "Redis does not answer."),
    ((OutOfMemoryError, ReadOnlyError), NOT_WRITTEN),
    ((AskError, ClusterCrossSlotError, ClusterDownError, TryAgainError), CLUSTER),
    ((NoPermissionError,), NOT_ALLOWED),
    ((NoScriptError,), "Redis has just dropped the runner's scripts."),
]
# Without a class of their own, or said of a command inside of a script.
CODES = [
    (r"^BUSY\b", "Redis is busy with a script that takes long."),
    (r"OOM|READONLY|^MISCONF|^NOREPLICAS", NOT_WRITTEN),
    (r"ACL failure|user executing the script can't", NOT_ALLOWED),
    (r"CROSSSLOT|non local key|CLUSTERDOWN", CLUSTER),
]


def of_error(error: RedisError) -> str | None:
    """Why Redis did not do what it was asked. None: that is a mistake of ours."""
    by_class = [words for classes, words in ERRORS if isinstance(error, classes)]
    by_code = [words for code, words in CODES if re.search(code, str(error))]
    return next((words.format(error) for words in by_class + by_code), None)


def of_notebooks(names: Iterable[str]) -> str:
    """Why API processes and workers with these notebooks are not one runner."""
    return (
        f"Two runners use the same names in Redis, with the notebooks {', '.join(sorted(names))}. "
        "Give each a NAMESPACE of its own."
    )


async def about(redis: AsyncRedis) -> dict[str, Any]:
    """What Redis says about itself; nothing, if we may not ask."""
    try:
        return dict(await redis.info())
    except ResponseError:
        return {}


def unfit(info: Mapping[str, Any]) -> str | None:
    """Why the runner cannot work with the Redis that says this about itself. None: it can."""
    return CLUSTER if info.get("cluster_enabled") else None


def remark(info: Mapping[str, Any]) -> str | None:
    """What should be different in the Redis that says this about itself."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction" or not info.get("maxmemory"):
        return None
    return (
        f"Redis may drop the lease of a run when its memory is full (maxmemory-policy {policy}). "
        "Set noeviction."
    )
