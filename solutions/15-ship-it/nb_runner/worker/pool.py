"""Celery's pool of processes: how its runs are ended, and what it must not be told to do."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import billiard
from celery import bootsteps

ENDS_PROCESS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
# Celery's pool ignores SIGINT, and SIGUSR1 is how it says that a task has taken too long.
ENDS_RUN = (*ENDS_PROCESS, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)

TOO_LATE = "the next kernel would not be ready when the next run comes."
REFUSED = {
    "time_limit": "it kills the worker in a run. CELL_TIMEOUT ends a run with a reason.",
    "soft_time_limit": "it ends a run as if the worker had been told to. See CELL_TIMEOUT.",
    "max_tasks_per_child": TOO_LATE,
    "max_memory_per_child": TOO_LATE,
}
# Seconds. Two of them fit into the time that a worker counts as alive (process.py).
LONGEST_INTERVAL = 3
SIGN_OF_LIFE = "by its heartbeat, GET /ready knows that the worker lives."


@contextmanager
def signals_end_the_run() -> Iterator[threading.Event]:
    """In a pool process, as long as a run is going: signals end the run, with a reason.

    The event says that one has come. A signal that ends the process ends it after the run.
    """
    told_to_stop = threading.Event()
    received: set[int] = set()

    def handle(number: int, _: FrameType | None) -> None:
        first = not received
        received.add(number)
        if first:  # one handler may interrupt another one, which holds the lock of the event
            told_to_stop.set()

    before = [(number, signal.signal(number, handle)) for number in ENDS_RUN]
    try:
        yield told_to_stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        for ends in received.intersection(ENDS_PROCESS):
            signal.raise_signal(ends)


def _complaints(worker: Any, options: dict[str, Any]) -> Iterator[str]:
    """A line for each option of `celery worker` that cannot be used here."""
    if worker.pool_cls.__module__ != "celery.concurrency.prefork":
        yield "--pool cannot be chosen. Allowed: prefork, because a run is ended by its process."
    for option, use in REFUSED.items():
        if getattr(worker, option):
            yield f"--{option.replace('_', '-')} cannot be used: {use}"
    if options.get("without_heartbeat"):
        yield f"--without-heartbeat cannot be used: {SIGN_OF_LIFE}"
    if (options.get("heartbeat_interval") or 0) > LONGEST_INTERVAL:
        yield f"--heartbeat-interval cannot be more than {LONGEST_INTERVAL}: {SIGN_OF_LIFE}"


class EndsRuns(bootsteps.StartStopStep):
    """In the main process, however it is told to stop.

    Celery would now wait for the run, hours perhaps. Tell the pool to end it instead, and to say so
    in the run's record.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        if complaints := list(_complaints(worker, options)):
            raise SystemExit("\n".join(complaints))

    def close(self, _: Any) -> None:
        """Celery's worker begins to stop."""
        for process in billiard.active_children():
            if process.pid:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
