"""What a worker does with a run: take a number, claim it, execute, keep the output, finish."""

import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError

from . import artifacts, fencing, files, logs, notebook, process_tree, redis_words
from .config import Settings
from .deadline import answer_within
from .executor import Executor
from .lease import ANSWER_SHARE, Heartbeat, Lease
from .live import Live
from .outcome import SUCCEEDED, RunOutcome, failed
from .reasons import Reason
from .runs import Run
from .self_report import SelfReport

log = logging.getLogger(__name__)

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
        # The run waits for a number before it is claimed, and its admission lasts for one lease.
        self._database_timeout = min(5.0, settings.lease_seconds / 3)
        self._database = fencing.connect(settings.database_url, self._database_timeout)
        self._executor = Executor(settings, settings.lease_seconds * ANSWER_SHARE)
        self._trial: subprocess.Popen[str] | None = None

    def warm_up(self) -> None:
        """Get the next run's kernel ready."""
        self._executor.warm_up(self._settings.notebook_path)

    def report(self, key: str) -> None:
        """Tell Redis from now on, under that key, whether a run would work here."""
        redis, folder = self._redis, self._settings.artifacts_dir
        SelfReport(redis, key, self._database, folder, self._no_kernel).start()

    def _no_kernel(self) -> str:
        """Why no kernel starts. Where none did, another process tries it meanwhile."""
        if self._executor.no_kernel and self._trial is None:
            command = [sys.executable, "-m", "nb_runner.kernel_trial"]
            self._trial = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        elif self._trial and self._trial.poll() is not None:
            why, _ = self._trial.communicate()
            if self._trial.returncode == 0:
                self._executor.no_kernel = why
            self._trial = None
        return self._executor.no_kernel

    def close(self) -> None:
        """Leave nothing running."""
        self._executor.close()

    def run(self, run_id: str, told_to_stop: threading.Event) -> None:
        """Run the notebook as the run of that id, unless it is not there to be claimed."""
        lease_seconds = self._settings.lease_seconds
        token, refusal = self._take_token(run_id)
        lease = Lease.claim(self._redis, self._settings, run_id, self._name, token)
        if lease is None:
            log.warning("Run %s is not to be claimed: cancelled, expired, or a duplicate.", run_id)
            return
        logs.about(lease.run)
        with Heartbeat(
            lease,
            lease_seconds,
            self._settings.run_timeout,
            told_to_stop,
            self._executor.beat,
            self._executor.stop,
        ) as heart:
            try:
                refusal = refusal or self._of_another_runner(lease.run.notebook)
                outcome = refusal or self._execute(lease.run, heart)
            except Exception as bug:  # ours; said at once rather than when the lease runs out
                log.exception("The runner failed in run %s", run_id)
                outcome = failed(Reason.RUNNER_FAILED, f"The runner itself failed: {bug!r}")
            gone = process_tree.kill_kernels(KILL_TIMEOUT)
        if not gone:  # so nobody may be admitted sooner than by the end of the lease
            log.error("Run %s has left a process that cannot be killed.", run_id)
            return
        if heart.order and outcome is not SUCCEEDED:  # a notebook may reach its end before that
            outcome = heart.order.outcome(self._executor.where)
        lease.finish(outcome, timeout=min(30, 2 * lease_seconds))
        log.info("Run %s %s. %s", run_id, outcome.status, outcome.error or "")

    def _take_token(self, run_id: str) -> tuple[int | None, RunOutcome | None]:
        """A fencing token, or why there is none."""
        try:
            issue = partial(fencing.issue, self._database, run_id)
            return answer_within(2 * self._database_timeout, issue), None
        except (SQLAlchemyError, TimeoutError) as error:
            why = getattr(error, "orig", None) or error  # without the statement around it
            words = f"The database (DATABASE_URL) issued no fencing token: {why}"
            return None, failed(Reason.NO_TOKEN, words)

    def _of_another_runner(self, notebook: str) -> RunOutcome | None:
        """Why a run of that notebook is not for this worker."""
        ours = self._settings.notebook_path.name
        if notebook == ours:
            return None
        return failed(Reason.NAMESPACE_SHARED, redis_words.of_notebooks({notebook, ours}))

    def _execute(self, run: Run, heart: Heartbeat) -> RunOutcome:
        """Run the notebook and keep what it left."""
        path = self._settings.notebook_path
        try:
            book = notebook.read(path)
        except notebook.Unusable as unusable:
            return failed(Reason.NOTEBOOK_UNUSABLE, str(unusable))
        try:
            own = artifacts.begin(
                self._settings.artifacts_dir, run.run_id, self._settings.keep_runs
            )
        except OSError as failure:
            words = f"There is no folder for the output of the run (ARTIFACTS_DIR): {failure}"
            return failed(Reason.OUTPUT_NOT_KEPT, words)
        variables = {
            "RUN_ID": run.run_id,
            "FENCING_TOKEN": str(run.token),
            "OUTPUT_DIR": str(own / artifacts.FILES),
        }
        with closing(Live(own / artifacts.LIVE, self._settings.output_limit)) as live:
            outcome = self._executor.run(
                book, path.parent, variables, heart.progress, heart.stopped, live
            )
        run.output_dropped = self._executor.dropped
        run.files = files.listed(own / artifacts.FILES)
        try:
            artifacts.keep(own, book)
        except (OSError, ValueError) as failure:  # ValueError: text that is not Unicode
            if outcome is SUCCEEDED:
                words = f"The notebook ran to its end, but its output was not kept: {failure}"
                return failed(Reason.OUTPUT_NOT_KEPT, words)
        return outcome
