"""Celery on this runner's Redis, for the API that sends messages and for the workers."""

import socket
from typing import Any

from celery import Celery

from .config import Settings
from .names import Names

# Seconds that a connection may be idle before the system asks the other end, and between two such
# questions; how many of them have to stay without an answer. macOS names the first differently.
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPALIVE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
# A connection can die without a word: a firewall forgets it, a host is gone. Without these
# settings, a worker would not notice for up to a minute.
NOTICES_SILENCE = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)
    },
    "health_check_interval": 5,  # seconds; a worker fetches messages again after 11 at most
}


def celery_app(settings: Settings, **transport_options: Any) -> Celery:
    """A Celery app whose keys in Redis begin with our NAMESPACE: no other application's."""
    app = Celery("nb_runner", broker=str(settings.redis_url))
    prefix = {"global_keyprefix": Names(settings.namespace).prefix}
    app.conf.broker_transport_options = prefix | NOTICES_SILENCE | transport_options
    return app
