"""Celery on this runner's Redis, for the API that sends messages and for the workers."""

from typing import Any

from celery import Celery

from .config import Settings
from .names import Names


def celery_app(settings: Settings, **transport_options: Any) -> Celery:
    """A Celery app whose keys in Redis begin with our NAMESPACE: no other application's."""
    app = Celery("nb_runner", broker=str(settings.redis_url))
    prefix = {"global_keyprefix": Names(settings.namespace).prefix}
    app.conf.broker_transport_options = prefix | transport_options
    return app
