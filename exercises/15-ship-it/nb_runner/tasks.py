"""The Celery app and its one task: what a worker does with a run.

How the worker's processes start and stop is in worker/process.py.
"""

import logging
import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from . import lease
from .broker import TASK, celery_app
from .config import get_settings
from .extras import fencing, logs, redis_words
from .lease import Heartbeat
from .notebook import document, process_tree
from .outcome import SUCCEEDED, Reason, RunOutcome, failed
from .output import artifacts, files
from .output.live import Live
from .runs import Run
from .worker.deadline import answer_within
from .worker.pool import EndsRuns, signals_end_the_run
from .worker.process import pool_process
from .worker.transport import use_it as use_our_transport

log = logging.getLogger(__name__)

KILL_TIMEOUT = 10  # seconds until what a run has started has to be gone

use_our_transport()
# A worker takes a message from the queue on one connection and notes it on another one. If that
# one has died in silence, the message would be gone: so the note is tried once more, on a new one.
app = celery_app(socket_timeout=5, socket_connect_timeout=1, retry_on_timeout=True)
app.conf.update(
    # The state of a run is ours to keep: no rule hangs on a result backend, so there is none.
    task_ignore_result=True,
    # A worker takes a message when it is free, never while another run still occupies it.
    worker_disable_prefetch=True,
    # A pool process is up when its kernel is, which can take a while on a busy machine.
    worker_proc_alive_timeout=150,
    broker_connection_retry_on_startup=True,
)
app.steps["worker"].add(EndsRuns)


@app.task(name=TASK)
def run_notebook(run_id: str) -> None:
    """Run the notebook as the run of that id."""
    with signals_end_the_run() as told_to_stop, logs.apart():
        _run(run_id, told_to_stop)
    # The next run may wait meanwhile, and its admission lasts one lease.
    pool_process().warm_up(timeout=get_settings().lease_seconds / 3)


def _run(run_id: str, told_to_stop: threading.Event) -> None:
    """Claim the run, execute the notebook under a heartbeat, write down how it ended."""
    here = pool_process()
    token, refusal = _take_token(run_id)
    held = lease.claim(run_id, here.name, token)
    if held is None:
        log.warning("Run %s is not to be claimed: cancelled, expired, or a duplicate.", run_id)
        return
    logs.about(held.run)
    with Heartbeat(held, told_to_stop, here.executor) as heart:
        try:
            # A run without a token is claimed all the same: so its end can be written down.
            refusal = refusal or _of_another_runner(held.run.notebook)
            outcome = refusal or _execute(held.run, heart)
        except Exception as bug:  # ours; said at once rather than when the lease runs out
            log.exception("The runner failed in run %s", run_id)
            outcome = failed(Reason.RUNNER_FAILED, f"The runner itself failed: {bug!r}")
        gone = process_tree.kill_kernels(KILL_TIMEOUT)
    if not gone:  # so nobody may be admitted sooner than by the end of the lease
        log.error("Run %s has left a process that cannot be killed.", run_id)
        return
    if heart.order and outcome is not SUCCEEDED:  # a notebook may reach its end before the order
        outcome = heart.order.outcome(here.executor.where)
    if held.release(outcome, timeout=min(30, 2 * get_settings().lease_seconds)):
        log.info("Run %s %s. %s", run_id, outcome.status, outcome.error or "")
    else:
        log.warning("Run %s is LOST. It would have been %s.", run_id, outcome.status)


def _take_token(run_id: str) -> tuple[int | None, RunOutcome | None]:
    """A fencing token, or why there is none."""
    here = pool_process()
    try:
        issue = partial(fencing.issue, here.database, run_id)
        return answer_within(2 * here.database_timeout, issue), None
    except (SQLAlchemyError, TimeoutError) as error:
        why = getattr(error, "orig", None) or error  # without the statement around it
        words = f"The database (DATABASE_URL) issued no fencing token: {why}"
        return None, failed(Reason.NO_TOKEN, words)


def _of_another_runner(notebook: str) -> RunOutcome | None:
    """Why a run of that notebook is not for this worker."""
    ours = get_settings().notebook_path.name
    if notebook == ours:
        return None
    return failed(Reason.NAMESPACE_SHARED, redis_words.of_notebooks({notebook, ours}))


def _execute(run: Run, heart: Heartbeat) -> RunOutcome:
    """Run the notebook and keep what it left."""
    settings, executor = get_settings(), pool_process().executor
    path = settings.notebook_path
    try:
        book = document.read(path)
    except document.Unusable as unusable:
        return failed(Reason.NOTEBOOK_UNUSABLE, str(unusable))
    try:
        own = artifacts.begin(settings.artifacts_dir, run.run_id, settings.keep_runs)
    except OSError as failure:
        words = f"There is no folder for the output of the run (ARTIFACTS_DIR): {failure}"
        return failed(Reason.OUTPUT_NOT_KEPT, words)
    variables = {
        "RUN_ID": run.run_id,
        "FENCING_TOKEN": str(run.token),
        "OUTPUT_DIR": str(own / artifacts.FILES),
    }
    with closing(Live(own / artifacts.LIVE, settings.output_limit)) as live:
        outcome = executor.run(book, path.parent, variables, heart.progress, heart.stopped, live)
    run.output_dropped = executor.dropped
    run.files = files.listed(own / artifacts.FILES)
    try:
        artifacts.keep(own, book)
    except (OSError, ValueError) as failure:  # ValueError: text that is not Unicode
        log.error("The output of run %s was not kept: %s", run.run_id, failure)
        if outcome is SUCCEEDED:
            words = f"The notebook ran to its end, but its output was not kept: {failure}"
            return failed(Reason.OUTPUT_NOT_KEPT, words)
        return replace(outcome, error=f"{outcome.error} (Its output was not kept: {failure})")
    return outcome
