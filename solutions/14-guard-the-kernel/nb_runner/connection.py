"""This process's connection to Redis."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .config import settings

# Who waits for a silent Redis for longer than the lease has lost it without noticing. So we give up
# early, and whether to try again is for the caller to say.
SOCKET_TIMEOUT = settings.lease_seconds / 9
redis = Redis.from_url(
    settings.redis_url,
    decode_responses=True,
    socket_timeout=SOCKET_TIMEOUT,
    socket_connect_timeout=SOCKET_TIMEOUT,
    retry=Retry(NoBackoff(), 0),
)
