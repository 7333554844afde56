"""Exercise 07: one run at a time, however many starts there are at once, and when a process dies.

For 7.2 and 7.3 each API process has a gate before Redis, and the grader tries every schedule.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from explorer import Actor, Trace, attempt, crash_points, explore, time_passes
from kit.grading.api import Answer, Api, curl
from kit.grading.gated.project import CallResult, GatedProject
from kit.grading.gated.rules import broken, calls, require_kept, statuses, unanswered
from kit.grading.runner.runs import ACTIVE, ENDED, follow, run_id_of, start, status
from kit.grading.submission import Submission
from kit.grading.texts import readable
from kit.grading.waiting import eventually
from kit.processes.child import Child
from kit.verdicts.failure import Wrong, require

START = "nb_runner/main.py: start(), and what it asks of nb_runner/runs.py"
LOCK = "nb_runner/runs.py: the lock"
TWO_STARTS = f"{curl('POST', '/start', {'seconds': 60})}\n{curl('POST', '/start')}"
APIS = 3  # with two, no schedule shows that a start deletes a lock which it does not hold
LONGEST_LOCK = 300  # seconds; a lock that is held for a decision needs only a few
LONGEST_RUN = 600  # seconds; what POST /start allows
RELEASE_TIMEOUT = 3.0  # seconds for what a lock's library may leave behind for a moment


class Runner:
    """The API processes, each with a gate before Redis, and one worker."""

    def __init__(self, submission: Submission, gated: GatedProject) -> None:
        self.gated = gated
        self.apis = [each.api for each in gated.apis]
        self.worker: Child = submission.workers[0]

    @property
    def api(self) -> Api:
        return self.apis[0]

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """The worker is stopped meanwhile, so runs stay queued."""
        self.worker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.worker.signal(signal.SIGCONT)

    def wait_until_idle(self) -> None:
        """Wait until the newest run has ended, if there is one."""
        answer = self.api.get("/status")
        if answer.status == 200:
            follow(self.api, run_id_of(answer), ENDED, START)


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Iterator[Runner]:
    with GatedProject(submission, apis=APIS, workers=1) as gated:
        yield Runner(submission, gated)


def require_refusal(answer: Answer, running: str, meanwhile: str) -> None:
    """Raise Wrong unless the start was refused, with the id of the active run."""
    answer.did = TWO_STARTS
    answer.expect(409, f"run {running} is {meanwhile}", START)
    if answer.field("running", START) != running:
        answer.wrong(f'"running": "{running}", the id of the active run', START)
    if not readable(answer.field("detail", START)):
        answer.wrong("a sentence in `detail`, at the top: what blocks this start?", START)


@pytest.mark.task("7.1")
def test_a_second_start_is_refused_while_the_first_is_queued_or_runs(runner: Runner) -> None:
    with runner.worker_paused():
        first = start(runner.api, {"seconds": 0.5})
        require_refusal(runner.api.post("/start"), first, "queued, and a second one has to wait")
    if follow(runner.api, first, ("RUNNING", *ENDED), START) == "RUNNING":
        answer = runner.apis[1].post("/start", {"seconds": 0})
        if answer.status != 202 or status(runner.api, first) in ACTIVE:  # it may end meanwhile
            require_refusal(answer, first, "running, and a second one has to wait")
    runner.wait_until_idle()


@pytest.mark.task("7.1")
def test_a_start_is_possible_again_when_the_run_has_ended(runner: Runner) -> None:
    runner.wait_until_idle()
    fails = start(runner.api, {"seconds": 0, "rows": 0}, "no run is active any more")
    follow(runner.api, fails, ENDED, START)
    again = start(runner.api, {"seconds": 0}, "the run before has ended: it has failed")
    follow(runner.api, again, ENDED, START)


@pytest.fixture(scope="module")
def starts(runner: Runner) -> Iterator[list[Actor]]:
    """A start for each API process. No worker is there any more, so a run stays queued."""
    runner.worker.kill()
    runner.gated.warm_up("/start")
    yield [api.actor("POST", "/start") for api in runner.gated.apis]


def one_is_accepted(trace: Trace) -> str | None:
    """The rule: one start gets in. 503 is a start that did not get the lock in time."""
    if (wrong := unanswered(trace)) is not None:
        return wrong.got
    if trace.stuck:
        return f"{' and '.join(trace.stuck)} waited for ever"
    codes = statuses(trace)
    refused = [code for code in codes if code in (409, 503)]
    return None if (codes.count(202), len(refused)) == (1, len(codes) - 1) else calls(codes)


@pytest.mark.task("7.2")
@pytest.mark.parametrize(
    ("number", "preemptions"), [("two", 2), ("three", 1)], ids=["two", "three"]
)
def test_of_starts_at_the_same_moment_one_is_accepted(
    runner: Runner, starts: list[Actor], number: str, preemptions: int
) -> None:
    chosen = starts[: {"two": 2, "three": 3}[number]]
    data = runner.gated.data
    report = explore(
        chosen,
        data,
        reset=runner.gated.reset,
        rule=one_is_accepted,
        preemptions=preemptions,
        alike=chosen,
    )
    did = f"{number} of these at once, to {number} API processes:\n{curl('POST', '/start')}"
    expected = "once 202 Accepted, and else 409 Conflict, in whatever order they reach Redis"
    require_no_error(report.failing, did, expected)
    require_kept(report, did, expected, START)


def require_no_error(trace: Trace | None, did: str, expected: str) -> None:
    """Raise Wrong when a start was answered with an error: its log says more than the schedule."""
    for one in trace.outcomes if trace else ():
        if isinstance(one.result, CallResult) and one.result.status not in (202, 409, 503):
            raise Wrong(did, expected, f"among others, {one.result.answer}", START)


@pytest.mark.task("7.3")
def test_whoever_stands_still_with_the_lock_loses_it(runner: Runner, starts: list[Actor]) -> None:
    victim, other, *_ = starts
    gated = runner.gated

    def next_start_is_decided(_: Trace) -> str | None:
        gated.data.advance(LONGEST_LOCK)
        after = attempt(other, gated.data, gated.reset)
        if after.stuck:
            return f"still waiting for the lock after {LONGEST_LOCK} s"
        if (wrong := unanswered(after)) is not None:
            return wrong.got
        result = after.outcomes[0].result
        assert isinstance(result, CallResult)
        if result.status == 202 or (result.status == 409 and blocks(result.answer)):
            return None
        return f"{result.answer}, and no run is active"

    def blocks(answer: Answer) -> bool:
        return status(runner.apis[1], str(answer.field("running", START))) in ACTIVE

    points = crash_points(
        victim, gated.data, reset=gated.reset, rule=next_start_is_decided, ways=["pause"]
    )
    for point in points:
        if point.fault is not None:
            did = (
                f"kill -STOP the API process in the middle of a start, and {LONGEST_LOCK} s later "
                f"to another one:\n{curl('POST', '/start')}"
            )
            expected = (
                "a lock that opens by itself when its holder dies: it has a timeout of seconds, "
            )
            expected += "from the moment it is taken"
            raise broken(point.trace, did, expected, LOCK)


@pytest.mark.task("7.3")
def test_a_run_blocks_others_for_as_long_as_it_takes(runner: Runner, starts: list[Actor]) -> None:
    gated = runner.gated
    report = explore(
        [*starts[:2], time_passes(gated.data, LONGEST_RUN)],
        gated.data,
        reset=gated.reset,
        rule=one_is_accepted,
        preemptions=0,
        alike=starts[:2],
    )
    did = f"{curl('POST', '/start', {'seconds': LONGEST_RUN})}\n… {LONGEST_RUN} s later …\n"
    did += curl("POST", "/start")
    expected = "409 Conflict: a lock's timeout may not end before the run that it stands for. "
    expected += "The record says whether a run is active; the lock is for the decision only"
    require_kept(report, did, expected, LOCK)


@pytest.mark.task("7.3")
def test_a_start_that_is_answered_has_released_the_lock(
    runner: Runner, starts: list[Actor]
) -> None:
    runner.gated.reset()
    redis = runner.gated.data.redis
    answer = runner.api.post("/start").expect(202, "no run is active", START)

    def locks() -> list[str]:
        """The keys that end by themselves as soon as a lock does. No run has begun."""
        left = {key.decode(): redis.ttl(key) for key in redis.scan_iter()}
        return sorted(key for key, seconds in left.items() if 0 < seconds <= LONGEST_LOCK)

    eventually(lambda: not locks(), RELEASE_TIMEOUT)
    expected = (
        "that the API has released the lock: it took it, so it releases it, before it answers"
    )
    got = f"still there: {', '.join(locks())}"
    require(not locks(), answer.did, expected, got, LOCK)
