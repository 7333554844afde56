"""The API's way to the workers: one message, by the task's name.

By name, because importing the task would import all that a worker needs and an API does not.
"""

from .broker import celery_app
from .config import settings

CLOCKS = 300  # seconds that two machines' clocks may be apart

# Fail fast: a client is waiting for the answer.
producer = celery_app(settings(), socket_timeout=1, socket_connect_timeout=1, max_retries=0)


def enqueue(run_id: str) -> None:
    """Queue an admitted run.

    The message expires some time after the lease. Later it could claim nothing anyway; the margin
    is for the clocks of two machines.

    Raises:
        kombu.exceptions.OperationalError: the broker did not take it.
    """
    producer.send_task(
        "nb_runner.run_notebook",
        args=[run_id],
        task_id=run_id,
        expires=settings().lease_seconds + CLOCKS,
        retry=False,
    )
