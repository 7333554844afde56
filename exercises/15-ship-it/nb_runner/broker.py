"""Celery's part: one message for each run, from the API to whichever worker is free."""

import socket
from functools import cache
from typing import Any

from celery import Celery

from .config import get_settings
from .names import names

TASK = "nb_runner.run_notebook"
CLOCKS = 300  # seconds that two machines' clocks may be apart
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


def celery_app(**transport_options: Any) -> Celery:
    """A Celery app whose keys in Redis begin with our NAMESPACE: no other application's."""
    app = Celery("nb_runner", broker=str(get_settings().redis_url))
    prefix = {"global_keyprefix": names().prefix}
    app.conf.broker_transport_options = prefix | NOTICES_SILENCE | transport_options
    return app


@cache
def _producer() -> Celery:
    """The API's app. It fails fast: a client is waiting for the answer."""
    return celery_app(socket_timeout=1, socket_connect_timeout=1, max_retries=0)


def enqueue(run_id: str) -> None:
    """Queue an admitted run.

    By the task's name, because importing the task would import all that a worker needs and an API
    does not. The message expires some time after the lease. Later it could claim nothing anyway;
    the margin is for the clocks of two machines.

    Raises:
        kombu.exceptions.OperationalError: the broker did not take it.
    """
    _producer().send_task(
        TASK,
        args=[run_id],
        task_id=run_id,
        expires=get_settings().lease_seconds + CLOCKS,
        retry=False,
    )
