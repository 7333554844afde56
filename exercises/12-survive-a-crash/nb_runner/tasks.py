"""The Celery app and its one task: what a worker does."""

import json
import logging
import traceback
from contextlib import suppress
from typing import Any

from celery import Celery, Task
from redis import RedisError

from . import executor, lease, runs
from .config import settings
from .runs import Status

log = logging.getLogger(__name__)

app = Celery("nb_runner", broker=settings.redis_url)
app.conf.update(
    task_ignore_result=True,  # the state of a run is ours: no rule hangs on a result backend
    worker_disable_prefetch=True,  # a busy or paused worker takes no message away from the others
    broker_connection_retry_on_startup=True,
)


@app.task(name="nb_runner.run_notebook", bind=True)
def run_notebook(self: Task[Any, Any]) -> None:
    """Run the notebook, if the lease still is its run's."""
    run_id = str(self.request.id)
    if not lease.renew(run_id):
        log.warning("Run %s came too late: its lease is gone.", run_id)
        return
    # TODO(12.4): a run that was cancelled while no worker was there must not begin.
    #   Its message comes all the same: a cancel does not remove it from the queue.
    runs.note(run_id, status=Status.RUNNING.value)
    ending = _run(run_id)
    if not lease.release(run_id, runs.key(run_id), **ending):
        log.warning("Run %s had lost its lease before it ended.", run_id)


def _run(run_id: str) -> dict[str, str]:
    """Run it. What to write into its record at its end."""

    def progress(done: int, total: int) -> None:
        with suppress(RedisError):  # a bar that lags is no reason to lose hours of work
            runs.note(run_id, cells_done=done, cells_total=total)

    with lease.Heartbeat(run_id, lambda: runs.cancel_requested(run_id)) as heart:
        try:
            notebook = executor.run(
                settings,
                run_id,
                progress,
                started=heart.watch_over,
            )
        except Exception as error:
            if heart.order == "cancelled":
                return {"status": Status.CANCELLED}
            words = f"{type(error).__name__}: {error}"
            if heart.order == "lost":
                words = "The worker lost its lease, or Redis, and stopped itself."
            return {
                "status": Status.FAILED,
                "error": words,
                "traceback": traceback.format_exc(),
            }
    printed = executor.printed(notebook)
    result = {"notebook": settings.notebook_path.name, "printed": printed}
    return {"status": Status.SUCCEEDED, "result": json.dumps(result)}
