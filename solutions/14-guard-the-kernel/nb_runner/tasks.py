"""The Celery app and its one task: what a worker does."""

import json
import logging
import traceback
from contextlib import suppress
from typing import Any

from celery import Celery, Task, signals
from redis import RedisError

from . import executor, lease, runs
from .config import get_settings
from .connection import get_redis
from .runs import Status

log = logging.getLogger(__name__)

SEEN_SECONDS = 7  # how long a worker counts as alive; Celery's workers beat every 2 seconds


def configuration() -> dict[str, Any]:
    """What Celery has to know; it asks when it first needs it."""
    return {
        "broker_url": get_settings().redis_url,
        # The state of a run is ours: no rule hangs on a result backend.
        "task_ignore_result": True,
        # A busy or paused worker takes no message away from the others.
        "worker_disable_prefetch": True,
        "broker_connection_retry_on_startup": True,
    }


app = Celery("nb_runner")
app.add_defaults(configuration)


@signals.heartbeat_sent.connect
def worker_lives(sender: Any, **_: Any) -> None:
    """In the worker's main process, every 2 seconds: say that it lives, for GET /ready."""
    with suppress(RedisError):  # the worker itself is looking for Redis, and says so
        name = runs.worker_key(sender.eventer.hostname)
        get_redis().set(name, "alive", ex=SEEN_SECONDS)


@app.task(name="nb_runner.run_notebook", bind=True)
def run_notebook(self: Task[Any, Any]) -> None:
    """Run the notebook, if the lease still is its run's."""
    run_id = str(self.request.id)
    if not lease.renew(run_id):
        log.warning("Run %s came too late: its lease is gone.", run_id)
        return
    ending = {"status": Status.CANCELLED.value}
    if not runs.cancel_requested(run_id):
        runs.note(run_id, status=Status.RUNNING.value)
        ending = _run(run_id)
    if not lease.release(run_id, runs.key(run_id), runs.TOTALS, **ending):
        log.warning("Run %s had lost its lease before it ended.", run_id)


def _run(run_id: str) -> dict[str, str]:
    """Run it. What to write into its record at its end."""

    def progress(done: int, total: int) -> None:
        with suppress(RedisError):  # a bar that lags is no reason to lose hours of work
            runs.note(run_id, cells_done=done, cells_total=total)

    with lease.Heartbeat(run_id, lambda: runs.cancel_requested(run_id)) as heart:
        try:
            notebook = executor.run(
                get_settings(),
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
    result = {"notebook": get_settings().notebook_path.name, "printed": printed}
    return {"status": Status.SUCCEEDED, "result": json.dumps(result)}
