"""Exercise 08: a run can be cancelled, and the next one can start at once."""

from dataclasses import dataclass

import pytest

from kit.grading.api import Answer, Api
from kit.grading.failure import Wrong
from kit.grading.runs import follow, start
from kit.grading.submission import Submission

START = "nb_runner/main.py: start(), and what nb_runner/runs.py calls active"
CANCEL = "nb_runner/main.py: cancel(), and what it asks of nb_runner/runs.py"
LONG_JOB = {"seconds": 600}
CANCEL_TIMEOUT = 15.0  # seconds that a cancelled run may take to end, and the next one to begin


@dataclass
class Runner:
    """The API with one worker, and what it answered to POST /cancel before anything ran."""

    api: Api
    idle: Answer


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Runner:
    api = submission.up(workers=1)
    return Runner(api, api.post("/cancel"))


@pytest.fixture
def api(runner: Runner) -> Api:
    return runner.api


def start_and_wait_until_running(api: Api, why: str) -> str:
    """Start a long run, and wait until a worker executes it."""
    run_id = start(api, LONG_JOB, why)
    follow(api, run_id, ("RUNNING",), START)
    return run_id


def cancel(api: Api, run_id: str) -> None:
    """Cancel that run, and wait for its status CANCELLED."""
    api.post("/cancel").expect(202, f"run {run_id} is running", CANCEL)
    follow(api, run_id, ("CANCELLED",), CANCEL, CANCEL_TIMEOUT)


@pytest.mark.task("8.1")
def test_a_run_in_progress_is_cancelled(api: Api) -> None:
    cancel(api, start_and_wait_until_running(api, "the run is on its way"))


@pytest.mark.task("8.2")
def test_the_only_worker_is_free_for_the_next_run(api: Api) -> None:
    run_id = start(api, LONG_JOB, "the run before was cancelled")
    try:
        follow(api, run_id, ("RUNNING",), CANCEL, CANCEL_TIMEOUT)
    except Wrong as wrong:
        expected = (
            f"RUNNING within {CANCEL_TIMEOUT:g} s: the cancelled run has left the worker, which is "
            "the only one and does one thing at a time"
        )
        raise Wrong(wrong.did, expected, wrong.got, wrong.where) from None
    cancel(api, run_id)


@pytest.mark.task("8.3")
def test_with_nothing_to_cancel_it_is_a_conflict(runner: Runner) -> None:
    runner.idle.expect(409, "nothing has been started yet", CANCEL)
    ended = start(runner.api, {"seconds": 0}, "nothing is running")
    follow(runner.api, ended, ("SUCCEEDED",), START)
    runner.api.post("/cancel").expect(409, f"run {ended} has ended by itself", CANCEL)
