"""The Celery app and its one task: what a worker does."""

import os
import time
from typing import Any

from celery import Celery

# TODO(10.1): take it from `settings`, as all that comes from the environment.
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("nb_runner", broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(
    task_track_started=True,  # or a task that runs would look like one that waits
    result_expires=86_400,  # seconds
    broker_connection_retry_on_startup=True,
)


@app.task(name="nb_runner.run_notebook")
def run_notebook(seconds: float, rows: int) -> dict[str, Any]:
    """Stand in for the notebook until exercise 10: heavy work, then an aggregate.

    What it returns has to survive JSON: text, numbers, lists, dictionaries, true, false, null.
    """
    # TODO(10.1): the task takes no arguments. It runs the notebook, by executor.run(settings), and
    #   returns what that returns.
    time.sleep(seconds)
    delays = [row % 60 for row in range(rows)]
    return {"rows": rows, "mean_delay": sum(delays) / len(delays)}
