"""Exercise 08: a run can be cancelled, and the next one can start at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest

from explorer import Gate, Trace, explore
from kit.grading.api import Answer, Api, curl
from kit.grading.gated.project import CallResult, GatedProject, gate_before
from kit.grading.gated.rules import require_kept, unanswered
from kit.grading.runner.runs import STATUS_POLL_INTERVAL, follow, run_id_of, start
from kit.grading.submission import Submission
from kit.grading.texts import require_no_client, require_own_detail
from kit.verdicts.failure import Wrong, require
from kit.verdicts.values import Kind, note

START = "nb_runner/main.py: start(), and what nb_runner/runs.py calls active"
CANCEL = "nb_runner/main.py: cancel(), and what it asks of nb_runner/runs.py"
REVOKE = "nb_runner/runs.py: cancel()"
LONG_JOB = {"seconds": 600}
QUEUE_TIMEOUT = 10.0  # seconds that a worker may take to ask for the next message
CANCEL_TIMEOUT = 15.0  # seconds that a cancelled run may take to end


@dataclass
class Runner:
    """Two API processes and one worker, and what POST /cancel was answered with nothing to cancel.

    `ended` is a run that has ended by itself.
    """

    submission: Submission
    gated: GatedProject
    queue: Gate  # through which the worker takes its messages
    idle: Answer
    ended: str
    too_late: Answer

    @property
    def api(self) -> Api:
        return self.gated.apis[0].api

    @contextmanager
    def no_message_taken(self) -> Iterator[None]:
        """The worker takes no message from the queue meanwhile. It receives a cancel."""
        self.queue.hold()
        self.queue.wait(lambda: bool(self.queue.held), QUEUE_TIMEOUT)
        try:
            yield
        finally:
            self.queue.open()

    def pool_process(self) -> psutil.Process:
        """The worker's child process, in which the task runs."""
        return psutil.Process(self.submission.workers[0].pid).children()[0]


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Iterator[Runner]:
    # A worker asks for a message and waits for it for a second, and then asks again.
    queue = gate_before(submission.redis_url, counts=lambda command: command.blocks)
    env = {"REDIS_URL": queue.url}
    with queue, GatedProject(submission, apis=2, workers=1, worker_env=env) as gated:
        api = gated.apis[0].api
        idle = api.post("/cancel")
        ended = start(api, {"seconds": 0}, "nothing is running")
        follow(api, ended, ("SUCCEEDED",), START)
        yield Runner(submission, gated, queue, idle, ended, api.post("/cancel"))


def is_dead(process: psutil.Process) -> bool:
    """Whether it has ended. Its parent may not have collected it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.task("8.1")
def test_a_queued_run_is_cancelled(runner: Runner) -> None:
    with runner.no_message_taken():
        run_id = start(runner.api, LONG_JOB)
        answer = runner.api.post("/cancel").expect(202, f"run {run_id} is queued", CANCEL)
        require_no_client(answer, CANCEL)
    follow(runner.api, run_id, ("CANCELLED",), CANCEL, CANCEL_TIMEOUT)


@pytest.mark.task("8.2")
def test_a_run_in_progress_ends_even_if_it_hears_no_signal(runner: Runner) -> None:
    run_id = start(runner.api, LONG_JOB, "the run before was cancelled")
    try:
        follow(runner.api, run_id, ("RUNNING",), REVOKE, CANCEL_TIMEOUT)
    except Wrong as wrong:
        expected = (
            f"RUNNING within {CANCEL_TIMEOUT:g} s: the worker does one thing at a time, and the "
            "run before was cancelled while it was queued, so the worker drops it"
        )
        raise Wrong(wrong.did, expected, wrong.got, wrong.where) from None
    process = runner.pool_process()
    process.suspend()  # like code in C that handles no signal: only SIGKILL ends it
    try:
        runner.api.post("/cancel").expect(202, f"run {run_id} is running", CANCEL)
        follow(runner.api, run_id, ("CANCELLED",), REVOKE, CANCEL_TIMEOUT)
        deadline = time.monotonic() + CANCEL_TIMEOUT
        while not is_dead(process) and time.monotonic() < deadline:
            time.sleep(STATUS_POLL_INTERVAL)
        require(
            is_dead(process),
            f"{curl('POST', '/cancel')}   (of a run that is deep in C code: no signal but SIGKILL "
            "ends it)",
            f"the worker's process that works on it is gone within {CANCEL_TIMEOUT:g} s, and the "
            "only worker is free",
            f"{run_id} reads CANCELLED; process {note(Kind.PID, process.pid)} still works on it",
            REVOKE,
        )
    finally:
        if process.is_running():
            process.resume()
    start(runner.api, {"seconds": 0}, "the run before was cancelled")


@pytest.mark.task("8.3")
def test_with_nothing_to_cancel_it_is_a_conflict(runner: Runner) -> None:
    runner.idle.expect(409, "nothing has been started yet", CANCEL)
    runner.too_late.expect(409, f"run {runner.ended} has ended by itself", CANCEL)
    for answer in (runner.idle, runner.too_late):
        require_own_detail(answer, "why is nothing cancelled?", CANCEL)


@pytest.mark.task("8.3")
def test_a_cancel_at_any_moment_of_a_start_is_answered(runner: Runner) -> None:
    runner.submission.workers[0].kill()
    gated = runner.gated
    gated.warm_up("/start", LONG_JOB)
    starts, cancels = gated.apis

    def answered(trace: Trace) -> str | None:
        """The rule: the start is accepted; the cancel names its run, or has come too early."""
        if (wrong := unanswered(trace)) is not None:
            return wrong.got
        started, cancelled = (one.result for one in trace.outcomes)
        if not isinstance(started, CallResult) or not isinstance(cancelled, CallResult):
            return f"{' and '.join(trace.stuck)} waited for ever"
        if started.status != 202 or cancelled.status not in (202, 409):
            return "\n".join(str(each.answer) for each in (started, cancelled))
        run_id = run_id_of(started.answer)
        if cancelled.status == 202 and run_id_of(cancelled.answer) != run_id:
            return f"run {run_id} was started, and another was cancelled: {cancelled.answer}"
        return None

    report = explore(
        [starts.actor("POST", "/start", LONG_JOB), cancels.actor("POST", "/cancel")],
        gated.data,
        reset=gated.reset,
        rule=answered,
    )
    did = f"both at once:\n{curl('POST', '/start', LONG_JOB)}\n{curl('POST', '/cancel')}"
    expected = (
        "202 Accepted for the start. For the cancel 202 Accepted with that run, or 409 Conflict"
    )
    require_kept(report, did, expected, CANCEL)
