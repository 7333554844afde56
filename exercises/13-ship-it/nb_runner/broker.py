"""Celery on this runner's Redis, for the API that sends messages and for the workers."""

from typing import Any

from celery import Celery
from redis.utils import get_default_socket_keepalive_options

from .config import Settings
from .names import Names

# A connection can die without a word: a firewall forgets it, a host is gone. Without these, a worker
# would wait on it for up to a minute, and for longer on one that a message was sent on.
NOTICES_SILENCE = {
    "socket_keepalive": True,
    "socket_keepalive_options": get_default_socket_keepalive_options(),
    "health_check_interval": 5,  # seconds; a worker fetches messages again after 11 at most
}


def celery_app(settings: Settings, **transport_options: Any) -> Celery:
    """A Celery app whose keys in Redis begin with our NAMESPACE: no other application's."""
    app = Celery("nb_runner", broker=str(settings.redis_url))
    prefix = {"global_keyprefix": Names(settings.namespace).prefix}
    app.conf.broker_transport_options = prefix | NOTICES_SILENCE | transport_options
    return app
