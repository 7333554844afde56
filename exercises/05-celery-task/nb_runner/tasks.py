"""The Celery app and its one task: what a worker does."""

import time
from dataclasses import dataclass

# TODO(5.1): make a Celery app called `app`. The URL of its broker and of its result backend is in
#   the environment, as REDIS_URL.
#   https://docs.celeryq.dev/en/stable/getting-started/first-steps-with-celery.html

# TODO(5.4): a task that runs should look different from one that waits: let the app track when a
#   task is STARTED.
#   https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-track-started


# TODO(5.3): what a task returns travels through Redis as JSON, and this does not. Return a
#   dictionary, with the same two names in it.
#   https://docs.celeryq.dev/en/stable/userguide/calling.html#serializers
@dataclass
class Aggregate:
    """What comes of the work."""

    rows: int
    mean_delay: float


# TODO(5.2): make this a task of the app, under the name "nb_runner.run_notebook": producers know
#   it by nothing else.
#   https://docs.celeryq.dev/en/stable/userguide/tasks.html#names
def run_notebook(seconds: float, rows: int) -> Aggregate:
    """Stand in for the notebook until exercise 10: heavy work, then an aggregate."""
    time.sleep(seconds)
    delays = [row % 60 for row in range(rows)]
    return Aggregate(rows=rows, mean_delay=sum(delays) / len(delays))
