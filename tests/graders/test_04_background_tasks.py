"""Exercise 04: the job goes on after the answer, one at a time, in one process."""

import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from kit.grading.api import Answer, Api
from kit.grading.failure import Wrong
from kit.grading.submission import Submission
from kit.grading.values import duration

START = "nb_runner/main.py: start()"
STATUS = "nb_runner/main.py: status(), and the field `status` of Run"
WORK = "nb_runner/main.py: work(), and how start() hands it over"
BUSY = "nb_runner/main.py: busy(), and what start() does with it"
WORDS = ("QUEUED", "RUNNING", "SUCCEEDED")
SHORT, LONG = 1, 4  # seconds that a job takes
PATIENCE = 10.0  # seconds on top of a job's own, for what should come soon
TWO = """2 processes, 2 runs at once: with `./workshop run 04 --api 2` each process took a start,
for neither sees the other's memory. Of the first run the second process said {status}.
This is nobody's fault and not to be mended here: exercise 05 is the way out."""


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up()


@pytest.mark.task("4.1")
def test_the_job_goes_on_after_the_answer(submission: Submission, api: Api) -> None:
    try:
        watch_a_job(api, SHORT)
    except TooSlow:
        watch_a_job(submission.up(), LONG)


@pytest.mark.task("4.2")
def test_a_second_start_is_refused(api: Api) -> None:
    first = start_when_free(api, SHORT)
    second = api.post("/start", {"seconds": 0})
    if second.status == 202:  # the first may be over already, on a busy machine
        first = start_when_free(api, LONG)
        second = api.post("/start", {"seconds": 0})
    second.did = f"{first.did}\n{second.did}"
    second.expect(409, "the first run is still going", BUSY)


@pytest.mark.task("4.2")
def test_a_start_is_possible_again(
    submission: Submission, api: Api, observe: Callable[[str], None]
) -> None:
    start_when_free(api, 0)
    start_when_free(api, 0)
    try:
        observe(two_processes(submission))
    except Wrong:  # a detour must not fail anybody
        observe("What two processes make of it could not be shown this time.")


class TooSlow(Wrong):
    """Wrong, unless it was the machine that was too slow for so short a job: a long one tells."""


def watch_a_job(api: Api, seconds: float) -> None:
    """Start a job and follow it to its end."""
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
    while status != "SUCCEEDED":
        answers_meanwhile(api, started, seconds)
        look = api.get(path).expect(200, "the run that was just started", STATUS)
        look.did = f"{started.did}\n{look.did}"
        status = status_in(look)
        seen.append(status)
        if time.monotonic() - began > seconds + PATIENCE:
            look.wrong(f"SUCCEEDED, {seconds:g} s after the start", WORK)
        time.sleep(0.05)
    took = time.monotonic() - began
    if took < 0.9 * seconds:
        look.wrong(f"a job of {seconds:g} s", WORK, f"SUCCEEDED after {duration(took)}")
    if "RUNNING" not in seen:
        expected = "RUNNING while it is going, SUCCEEDED after it"
        raise TooSlow(look.did, expected, " → ".join(dict.fromkeys(seen)), WORK)


def status_in(answer: Answer) -> str:
    status = answer.field("status", STATUS)
    if status not in WORDS:
        answer.wrong(f"a status that is one of {', '.join(WORDS)}", STATUS)
    return str(status)


def answers_meanwhile(api: Api, started: Answer, seconds: float) -> None:
    """Wrong if the API is deaf while the job is going."""
    began = time.monotonic()
    ping = api.get("/ping")
    took = time.monotonic() - began
    ping.did = f"{started.did}\n{ping.did}"
    ping.expect(200, "the API is alive", "nb_runner/main.py: ping()")
    got = f"an answer after {duration(took)}: nothing else is served while the job is going"
    if took > 0.8 * seconds:
        raise TooSlow(ping.did, "an answer at once", got, WORK)


def start_when_free(api: Api, seconds: float) -> Answer:
    """Start a job as soon as it is possible; Wrong when it does not become possible."""
    deadline = time.monotonic() + LONG + PATIENCE
    while True:
        answer = api.post("/start", {"seconds": seconds})
        if answer.status != 409:
            return answer.expect(202, "no run is in the way", START)
        if time.monotonic() > deadline:
            answer.expect(202, "the run before is over and so a start is possible again", BUSY)
        time.sleep(0.05)


def two_processes(submission: Submission) -> str:
    """What two API processes make of the busy flag: an observation."""
    one, other = submission.up_apart({}, {})
    run_id = one.post("/start", {"seconds": 30}).expect(202, "", START).field("run_id", START)
    second = other.post("/start", {"seconds": 30})
    known = other.get(f"/status/{run_id}")
    going = one.get(f"/status/{run_id}").field("status", STATUS)
    if second.status == 202 and going == "RUNNING":
        return TWO.format(status=known.status)
    return f"Two processes, and yet the second start got {second.status}: how did you do that?"
