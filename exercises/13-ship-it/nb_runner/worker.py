"""What a worker does with a run: take a number, claim it, execute, keep the output, finish."""

import logging
import os
import secrets
import socket
import threading

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError

from . import artifacts, fencing, notebook, process_tree, redis_words
from .config import Settings
from .executor import Executor
from .lease import ANSWER_SHARE, Heartbeat, Lease, Order
from .runs import Status

log = logging.getLogger(__name__)

LONGEST = 2000  # characters of an error that go into the run's record
KILL_TIMEOUT = 10  # seconds until what a run has started has to be gone


def connect(settings: Settings) -> Redis:
    """A connection that gives up early: a lease has to notice a silent Redis in time."""
    timeout = min(1.0, settings.lease_seconds / 9)
    return Redis.from_url(
        str(settings.redis_url),
        decode_responses=True,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )


class Worker:
    """Runs the notebook, one run at a time, in this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._redis = connect(settings)
        self._database = fencing.connect(settings.database_url)
        self._executor = Executor(settings, settings.lease_seconds * ANSWER_SHARE)

    def warm_up(self) -> None:
        """Get the next run's kernel ready."""
        self._executor.warm_up(self._settings.notebook_path)

    def close(self) -> None:
        """Leave nothing running."""
        self._executor.close()

    def run(self, run_id: str, told_to_stop: threading.Event) -> None:
        """Run the notebook as the run of that id, unless it is not there to be claimed."""
        lease_seconds = self._settings.lease_seconds
        token, error = self._take_token(run_id)
        lease = Lease.claim(self._redis, self._settings, run_id, self._name, token)
        if lease is None:
            log.warning("Run %s is not to be claimed: cancelled, expired, or a duplicate.", run_id)
            return
        with Heartbeat(
            lease, lease_seconds, told_to_stop, self._executor.beat, self._executor.stop
        ) as heart:
            try:
                error = error or self._of_another_runner(lease.run.notebook)
                error = error or self._execute(run_id, token, heart)
            except Exception as bug:  # ours; said at once rather than when the lease runs out
                log.exception("The runner failed in run %s", run_id)
                error = f"The runner itself failed: {bug!r}"
            lease.run.output_dropped = self._executor.dropped
            gone = process_tree.kill_kernels(KILL_TIMEOUT)
        if not gone:  # so nobody may be admitted sooner than by the end of the lease
            log.error("Run %s has left a process that cannot be killed.", run_id)
            return
        status, error = _verdict(error, heart.order, self._executor.where)
        lease.finish(status, error, timeout=min(30, 2 * lease_seconds))
        log.info("Run %s %s. %s", run_id, status, error or "")

    def _take_token(self, run_id: str) -> tuple[int | None, str | None]:
        """A fencing token, or why there is none."""
        try:
            return fencing.issue(self._database, run_id), None
        except SQLAlchemyError as error:
            why = getattr(error, "orig", None) or error  # without the statement around it
            return None, f"The database (DATABASE_URL) issued no fencing token: {why}"

    def _of_another_runner(self, notebook: str) -> str | None:
        """Why a run of that notebook is not for this worker."""
        ours = self._settings.notebook_path.name
        return None if notebook == ours else redis_words.of_notebooks({notebook, ours})

    def _execute(self, run_id: str, token: int | None, heart: Heartbeat) -> str | None:
        """Run the notebook and keep what it left. Answers what went wrong, if anything did."""
        path = self._settings.notebook_path
        try:
            book = notebook.read(path)
        except notebook.Unusable as unusable:
            return str(unusable)
        variables = {"RUN_ID": run_id, "FENCING_TOKEN": str(token)}
        error = self._executor.run(book, path.parent, variables, heart.progress, heart.stopped)
        try:
            artifacts.keep(self._settings.artifacts_dir, run_id, book, self._settings.keep_runs)
        except (OSError, ValueError) as failure:  # ValueError: text that is not Unicode
            return error or f"The notebook ran to its end, but its output was not kept: {failure}"
        return error


def _verdict(error: str | None, order: Order | None, where: str) -> tuple[Status, str | None]:
    """How the run ended. A notebook that reached its end before an order did has succeeded."""
    if error is None:
        return Status.SUCCEEDED, None
    if order is None:
        return Status.FAILED, error[:LONGEST]
    status = {Order.CANCELLED: Status.CANCELLED, Order.SHUTDOWN: Status.FAILED}
    return status.get(order, Status.LOST), f"{order.value} It was at: {where}."
