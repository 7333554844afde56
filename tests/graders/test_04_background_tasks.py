"""Exercise 04: the job goes on after the answer, one at a time, in one process."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from kit.grading.api import Answer, Api, curl
from kit.grading.programs.start import Program
from kit.grading.submission import Submission
from kit.grading.texts import require_own_detail
from kit.verdicts.failure import Wrong
from kit.verdicts.values import duration

START = "nb_runner/main.py: start()"
STATUS = "nb_runner/main.py: status(), and the field `status` of Run"
WORK = "nb_runner/main.py: work(), and how start() hands it over"
BUSY = "nb_runner/main.py: busy(), and what start() does with it"
STATUSES = ("QUEUED", "RUNNING", "SUCCEEDED")
SHORT, LONG = 1.6, 6  # seconds that a job takes
TIMEOUT_MARGIN = 10.0  # seconds in addition to the job's own
TWO_RUNS = """\
2 processes, 2 runs at once: with `./workshop run 04 --api 2` each process took a start
(neither sees the other's memory). Of the first run the second process said {status}.
This is not your mistake, and you need not fix it here: exercise 05 does."""


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up()


@pytest.mark.task("4.1")
def test_the_job_goes_on_after_the_answer(submission: Submission, api: Api) -> None:
    try:
        follow_a_job(api, SHORT)
    except TooSlow:
        follow_a_job(submission.up(), LONG)


@pytest.mark.task("4.2")
def test_a_second_start_is_refused(api: Api) -> None:
    first = start_when_free(api, SHORT)
    second = api.post("/start", {"seconds": 0})
    if second.status == 202:  # the first may be over already, on a busy machine
        first = start_when_free(api, LONG)
        second = api.post("/start", {"seconds": 0})
    second.did = f"{first.did}\n{second.did}"
    second.expect(409, "the first run is still going", BUSY)
    require_own_detail(second, "why is there no start now?", BUSY)


@pytest.mark.task("4.2")
def test_of_two_starts_at_once_one_is_refused(submission: Submission) -> None:
    start = curl("POST", "/start", {"seconds": 600})
    did = f"{start} &\n{start}"
    expected = "one 202 and one 409, in whatever order the steps of the two are done"
    found = Program(submission, "overlap").result(did, expected, BUSY)
    if found:
        raise Wrong(did, expected, "202 and 202: two runs at once", BUSY, schedule_of(found))


@pytest.mark.task("4.2")
def test_a_start_is_possible_again(
    submission: Submission, api: Api, observe: Callable[[str], None]
) -> None:
    start_when_free(api, 0)
    start_when_free(api, 0)
    try:
        observe(two_processes(submission))
    except Wrong:  # it is an observation, so it must not fail the task
        observe("What two processes make of it could not be shown this time.")


class TooSlow(Wrong):
    """The job was wrong, or the machine too slow for so short a job. A long job decides."""


def follow_a_job(api: Api, seconds: float) -> None:
    """Start a job, and check its status until it has ended."""
    began = time.monotonic()
    started = api.post("/start", {"seconds": seconds})
    took = time.monotonic() - began
    started.expect(202, "the job has been taken on", START)
    status = status_in(started)
    if took >= seconds:
        got = f"an answer after {duration(took)}, when the job was done"
        raise TooSlow(started.did, "an answer at once", got, WORK)
    if status == "SUCCEEDED":
        started.wrong(f"QUEUED or RUNNING: the job takes {seconds:g} s", WORK)
    path = f"/status/{quote(str(started.field('run_id', START)))}"
    seen = []
    going = 0.0  # seconds after the start, when it was last seen to be going
    while status != "SUCCEEDED":
        asked = time.monotonic() - began
        require_ping_meanwhile(api, started, seconds)
        answer = api.get(path).expect(200, "the run that was just started", STATUS)
        answer.did = f"{started.did}\n{answer.did}"
        status = status_in(answer)
        seen.append(status)
        going = going if status == "SUCCEEDED" else asked
        if time.monotonic() - began > seconds + TIMEOUT_MARGIN:
            answer.wrong(f"SUCCEEDED, {seconds:g} s after the start", WORK)
        time.sleep(0.05)
    took = time.monotonic() - began
    if took < 0.9 * seconds:
        answer.wrong(f"a job of {seconds:g} s", WORK, f"SUCCEEDED after {duration(took)}")
    if going < 0.75 * seconds:
        got = f"SUCCEEDED after at most {duration(took)}, and last seen going after "
        raise TooSlow(answer.did, f"a job of {seconds:g} s", f"{got}{duration(going)}", WORK)
    if "RUNNING" not in seen:
        expected = "RUNNING while it is going, SUCCEEDED after it"
        raise TooSlow(answer.did, expected, " → ".join(dict.fromkeys(seen)), WORK)


def schedule_of(outcome: dict[str, Any]) -> str:
    """What two starts did, one after the other, in lines."""
    first, second = outcome["first_held"], outcome["second_held"]
    lines = [("first", f"is interrupted: {first}" if first else "waits for something")]
    if second:
        lines += [("second", f"is interrupted: {second}"), ("first", "goes on: 202")]
        lines += [("second", "goes on: 202")]
    else:
        lines += [("second", "is handled meanwhile: 202"), ("first", "goes on: 202")]
    return "\n".join(f"{which:<7} {what}" for which, what in lines)


def status_in(answer: Answer) -> str:
    status = answer.field("status", STATUS)
    if status not in STATUSES:
        answer.wrong(f"a status that is one of {', '.join(STATUSES)}", STATUS)
    return str(status)


def require_ping_meanwhile(api: Api, started: Answer, seconds: float) -> None:
    """Raise Wrong unless the API answers while the job is running."""
    began = time.monotonic()
    ping = api.get("/ping")
    took = time.monotonic() - began
    ping.did = f"{started.did}\n{ping.did}"
    ping.expect(200, "the API is alive", "nb_runner/main.py: ping()")
    got = f"an answer after {duration(took)}: nothing else is served while the job is going"
    if took > 0.8 * seconds:
        raise TooSlow(ping.did, "an answer at once", got, WORK)


def start_when_free(api: Api, seconds: float) -> Answer:
    """Start a job as soon as it is accepted. Raises Wrong if it is refused for too long."""
    deadline = time.monotonic() + LONG + TIMEOUT_MARGIN
    while True:
        answer = api.post("/start", {"seconds": seconds})
        if answer.status != 409:
            return answer.expect(202, "no run is active", START)
        if time.monotonic() > deadline:
            answer.expect(202, "the run before is over and so a start is possible again", BUSY)
        time.sleep(0.05)


def two_processes(submission: Submission) -> str:
    """A note on what two API processes do with the busy flag."""
    one, other = submission.up_apart({}, {})
    run_id = one.post("/start", {"seconds": 30}).expect(202, "", START).field("run_id", START)
    second = other.post("/start", {"seconds": 30})
    known = other.get(f"/status/{run_id}")
    going = one.get(f"/status/{run_id}").field("status", STATUS)
    if second.status == 202 and going == "RUNNING":
        return TWO_RUNS.format(status=known.status)
    return f"Two processes, and yet the second start got {second.status}: how did you do that?"
