"""This process's connection to Redis."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .config import settings

# Who waits for a silent Redis for longer than the lease has lost it without noticing. So we give up
# early, and whether to try again is for the caller to say.
PATIENCE = settings.lease_seconds / 9
redis = Redis.from_url(
    settings.redis_url,
    decode_responses=True,
    socket_timeout=PATIENCE,
    socket_connect_timeout=PATIENCE,
    retry=Retry(NoBackoff(), 0),
)
