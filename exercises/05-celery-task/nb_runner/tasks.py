"""The Celery app and its one task: what a worker does."""

import time
from dataclasses import dataclass

# TODO(5.1): make a Celery app called `app`. The environment variable REDIS_URL has the URL of its
#   broker and of its result backend.
#   https://docs.celeryq.dev/en/stable/getting-started/first-steps-with-celery.html

# TODO(5.4): a task that runs should have another state than one that waits: let the app track when
#   a task is STARTED.
#   https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-track-started


# TODO(5.3): the result of a task travels through Redis as JSON, and a dataclass cannot. Return a
#   dictionary with the same two names.
#   https://docs.celeryq.dev/en/stable/userguide/calling.html#serializers
@dataclass
class Aggregate:
    """What comes of the work."""

    rows: int
    mean_delay: float


# TODO(5.2): make this a task of the app, with the name "nb_runner.run_notebook": producers know
#   only this name.
#   https://docs.celeryq.dev/en/stable/userguide/tasks.html#names
def run_notebook(seconds: float, rows: int) -> Aggregate:
    """Stand in for the notebook until exercise 10: heavy work, then an aggregate."""
    time.sleep(seconds)
    delays = [row % 60 for row in range(rows)]
    return Aggregate(rows=rows, mean_delay=sum(delays) / len(delays))
