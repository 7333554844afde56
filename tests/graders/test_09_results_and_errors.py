"""Exercise 09: a run leaves its result, or the reason why there is none."""

from typing import Any

import pytest

from kit.grading.api import Answer, Api
from kit.grading.runner.runs import ENDED, follow, start
from kit.grading.submission import Submission
from kit.grading.texts import require_own_detail

OUTPUT = "nb_runner/main.py: output(), and nb_runner/runs.py: output()"
STATUS = "nb_runner/runs.py: get()"
TASK = "nb_runner/tasks.py: run_notebook()"
CANCEL = "nb_runner/runs.py: cancel()"
ERROR = "ZeroDivisionError: division by zero"
RESULT = {"rows": 120, "mean_delay": 29.5}


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up(workers=1)


def finished_run(api: Api, body: dict[str, Any], status: str) -> str:
    """Start a run, and wait until it has this status. Returns its id."""
    run_id = start(api, body)
    follow(api, run_id, (status,), TASK)
    return run_id


@pytest.mark.task("9.1")
def test_the_result_of_a_run_that_succeeded(api: Api) -> None:
    run_id = finished_run(api, {"seconds": 0, "rows": 120}, "SUCCEEDED")
    answer = api.get(f"/output/{run_id}").expect(200, "the run has succeeded", OUTPUT)
    for name, value in (("run_id", run_id), ("status", "SUCCEEDED"), ("result", RESULT)):
        if answer.field(name, OUTPUT) != value:
            answer.wrong(f"the field {name!r} is {value!r}", OUTPUT)
    for path, where in ((f"/status/{run_id}", STATUS), (f"/output/{run_id}", OUTPUT)):
        answer = api.get(path).expect(200, "the run is known", where)
        if answer.object(where).get("error") is not None:
            answer.wrong("no `error`, or null: a run that succeeded has none", where)


@pytest.fixture(scope="module")
def failed(api: Api) -> str:
    """A run that has failed: the mean of no rows is a division by zero."""
    return finished_run(api, {"seconds": 0, "rows": 0}, "FAILED")


@pytest.mark.task("9.2")
def test_the_status_of_a_run_that_failed_says_why(api: Api, failed: str) -> None:
    answer = api.get(f"/status/{failed}").expect(200, "the run is known", STATUS)
    require_error(answer, STATUS)


@pytest.mark.task("9.2")
def test_the_output_of_a_run_that_failed_says_why_and_where(api: Api, failed: str) -> None:
    answer = api.get(f"/output/{failed}").expect(200, "this is what is known of it", OUTPUT)
    require_error(answer, OUTPUT)
    if not is_traceback(answer.field("traceback", OUTPUT)):
        expected = "`traceback`: the task's own, as one text of several lines: Traceback (most …"
        answer.wrong(expected, OUTPUT)
    if answer.object(OUTPUT).get("result") is not None:
        answer.wrong("no `result`, or null: a run that failed has none", OUTPUT)


def require_error(answer: Answer, where: str) -> None:
    """Raise Wrong unless the field `error` has the exception."""
    error = answer.field("error", where)
    if not isinstance(error, str) or not error.strip().startswith(ERROR):
        answer.wrong(f'"error": "{ERROR}"', where)


def is_traceback(text: Any) -> bool:
    """Whether it is the traceback as Python prints it: line by line."""
    lines = text.strip().splitlines() if isinstance(text, str) else []
    begins = any(line.startswith("Traceback ") for line in lines[:-1])
    return begins and lines[-1].startswith(ERROR)


@pytest.fixture(scope="module")
def running(api: Api) -> str:
    """A run that goes on until it is cancelled. Its id."""
    run_id = start(api, {"seconds": 600})
    follow(api, run_id, ("RUNNING",), TASK)
    return run_id


@pytest.mark.task("9.3")
def test_before_its_end_a_run_has_no_output(api: Api, running: str) -> None:
    require_too_early(api.get(f"/output/{running}"))


@pytest.mark.task("9.3")
def test_a_run_that_was_cancelled_has_an_output_without_a_result(api: Api, running: str) -> None:
    api.post("/cancel").expect(202, "the run is running", CANCEL)
    follow(api, running, ENDED, CANCEL)
    answer = api.get(f"/output/{running}")
    answer.expect(200, "the run was cancelled, so it has ended, and has an output", OUTPUT)
    if answer.field("status", OUTPUT) != "CANCELLED":
        answer.wrong("the status CANCELLED", OUTPUT)
    if answer.object(OUTPUT).get("result") is not None:
        answer.wrong("no `result`, or null: a run that was cancelled has none", OUTPUT)


@pytest.mark.task("9.3")
def test_an_unknown_run_has_no_output(api: Api) -> None:
    answer = api.get("/output/nosuchrun").expect(404, "there was no such run", OUTPUT)
    require_own_detail(answer, "what was not found?", OUTPUT)


@pytest.mark.task("9.3")
def test_a_run_that_waits_has_no_output(submission: Submission, api: Api) -> None:
    for worker in submission.workers:
        worker.kill()  # so the run stays in the queue
    run_id = start(api, {"seconds": 0})
    follow(api, run_id, ("QUEUED",), TASK)
    require_too_early(api.get(f"/output/{run_id}"))


def require_too_early(answer: Answer) -> None:
    """Raise Wrong unless the answer is 409, and says why."""
    answer.expect(409, "the run has not ended yet: ask again later", OUTPUT)
    require_own_detail(answer, "why is there no output?", OUTPUT)
