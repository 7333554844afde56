"""This process's connection to Redis."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .config import settings

# A worker that waits for a silent Redis for longer than its lease lasts has lost the lease, and has
# not noticed. So the connection gives up early, and the caller decides whether to try again.
SOCKET_TIMEOUT = settings.lease_seconds / 9
redis = Redis.from_url(
    settings.redis_url,
    decode_responses=True,
    socket_timeout=SOCKET_TIMEOUT,
    socket_connect_timeout=SOCKET_TIMEOUT,
    retry=Retry(NoBackoff(), 0),
)
