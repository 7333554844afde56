"""Celery's transport over Redis, less one wait without end."""

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.retry import Retry


class Channel(kombu_redis.Channel):
    """Its subscription, to what `celery inspect` and `celery control` say, ends when it is cut off.

    By itself, redis-py would connect anew, as `retry_on_timeout` in tasks.py asks, and then wait
    for the next message. This happens in the thread that also fetches runs: the worker would be up,
    and fetch none any more. An error is better. Celery then opens all of its connections anew.
    """

    def _subscribe(self) -> None:
        super()._subscribe()  # type: ignore[misc]  # the stubs do not know it
        if self.subclient.connection is not None:
            self.subclient.connection.retry = Retry(NoBackoff(), 0)


class Transport(kombu_redis.Transport):
    """The one for redis:// and rediss:// in a worker."""

    Channel = Channel


def use_it() -> None:
    """Have kombu use it from now on."""
    ours = f"{Transport.__module__}:{Transport.__qualname__}"
    TRANSPORT_ALIASES.update(redis=ours, rediss=ours)
