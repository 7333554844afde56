"""The API's way to the workers: one message, by the task's name.

By name, because importing the task would import all that a worker needs and an API does not.
"""

from celery import Celery

from .config import settings

producer = Celery("nb_runner", broker=str(settings().redis_url))
producer.conf.broker_transport_options = {
    # Fail fast: a client is waiting for the answer.
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 0,
}


CLOCKS = 300  # seconds that two machines' clocks may be apart


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
