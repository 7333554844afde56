"""The Celery app and its one task: what a worker does."""

from typing import Any

from celery import Celery

from . import executor
from .config import settings

app = Celery("nb_runner", broker=settings.redis_url, backend=settings.redis_url)
app.conf.update(
    task_track_started=True,  # or a task that runs would look like one that waits
    result_expires=86_400,  # seconds
    broker_connection_retry_on_startup=True,
)


# TODO(11.1): let Celery give the task itself to the function (bind=True), and write how far the run
#   is into a state of your own, PROGRESS.
#   https://docs.celeryq.dev/en/stable/userguide/tasks.html#custom-states
@app.task(name="nb_runner.run_notebook")
def run_notebook() -> dict[str, Any]:
    """Run the notebook. What it found is in its database; what it printed is our result."""
    return executor.run(settings)
