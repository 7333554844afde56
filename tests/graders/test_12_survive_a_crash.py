"""Exercise 12: a worker that dies, a Redis that does not answer, a worker that wakes up too late.

The runners of the project are in crash_runners.py: each decides the tests that name it, in their
order and in the background.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import pytest
import redis as redis_client

from explorer import Trace, crash_points, explore, time_passes
from kit.errors import KitError
from kit.grading.api import curl
from kit.grading.failure import require
from kit.grading.gated import (
    Called,
    calls,
    require_kept,
    require_survived,
    statuses,
    unanswered,
)
from kit.grading.runs import ACTIVE, run_id_of, status
from kit.grading.submission import Submission
from kit.processes.redis_tiers import INSTALL_REDIS

from .crash_chain import Chain, Runner, Undecided
from .crash_kernels import alive
from .crash_runners import (
    CANCELS,
    CLAIM,
    HEARTBEAT,
    LEASE,
    TRIES,
    Beats,
    Cancels,
    Killed,
    Steps,
    eventually,
    hold_run,
    paused,
)

LATER = LEASE + 60  # seconds after which a lease that nobody renews has ended
AT_ONCE = 2.5  # seconds in which a kernel is gone whose run has lost its lease: it takes one
A_MOMENT = 3.0  # seconds in which a cancel is obeyed: it takes one
ENDS = 4.0  # seconds until a run has ended whose notebook prints a line: it takes one
GONE_TIMEOUT = 8.0  # seconds until a run whose kernel is gone has ended: it takes one

TAKE = "nb_runner/lease.py: take()"
LOST = "nb_runner/lease.py: take() and nb_runner/runs.py: get()"
RELEASE = "nb_runner/lease.py: release() and renew()"
CANCEL = "nb_runner/lease.py: Heartbeat._beat() and nb_runner/tasks.py: run_notebook()"

PAUSED = f"./workshop break pause\n{curl('POST', '/start')}\nand the paused worker wakes up"

R = TypeVar("R", bound=Runner)
Chains = dict[type, Chain[Any]]
played: dict[type, list[Callable[[Any], None]]] = defaultdict(list)  # by runner, in their order


def played_by(runner: type[R]) -> Callable[[Callable[[R], None]], Callable[[Chains], None]]:
    """A test that this runner plays in the background. The test itself waits for the outcome."""

    def plays(test: Callable[[R], None]) -> Callable[[Chains], None]:
        def decided(chains: Chains) -> None:
            chains[runner].require(test.__name__)

        played[runner].append(test)
        decided.__name__, decided.__doc__ = test.__name__, test.__doc__
        return decided

    return plays


@pytest.fixture(scope="module")
def chains(submission: Submission) -> Iterator[Chains]:
    """All runners, at work from now on."""
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 12 needs a real Redis", INSTALL_REDIS) from None
    at_work: Chains = {
        runner: Chain(partial(runner, submission), tests) for runner, tests in played.items()
    }
    yield at_work
    for chain in at_work.values():
        chain.close()


def one_is_accepted(trace: Trace) -> str | None:
    """The rule of two starts."""
    if (wrong := unanswered(trace)) is not None:
        return wrong.got
    if trace.stuck:
        return f"{' and '.join(trace.stuck)} waited for ever"
    answers = [one.result.answer for one in trace.outcomes if isinstance(one.result, Called)]
    odd = [str(answer) for answer in answers if answer.status not in (202, 409)]
    codes = statuses(trace)
    return None if codes == [202, 409] else "\n".join(odd) or calls(codes)


@pytest.mark.task("12.1")
@played_by(Steps)
def test_of_two_starts_at_once_one_takes_the_lease(steps: Steps) -> None:
    with steps.without_worker() as starts:
        steps.gated.warm_up("/start")
        report = explore(
            starts, steps.data, reset=steps.gated.reset, rule=one_is_accepted, alike=starts
        )
    did = f"both at once, to two API processes:\n{curl('POST', '/start')}\n{curl('POST', '/start')}"
    expected = "once 202 Accepted, once 409 Conflict, in whatever order they reach Redis"
    require_kept(report, did, expected, TAKE)


@pytest.mark.task("12.1")
@played_by(Steps)
def test_a_lease_lasts_for_lease_seconds(steps: Steps) -> None:
    with steps.without_worker() as starts:
        report = explore(
            [*starts, time_passes(steps.data, LEASE / 2)],
            steps.data,
            reset=steps.gated.reset,
            rule=one_is_accepted,
            preemptions=0,
            alike=starts,
        )
    did = f"LEASE_SECONDS is {LEASE:g}:\n{curl('POST', '/start')}\n… {LEASE / 2:g} s later …\n"
    did += curl("POST", "/start")
    expected = "409 Conflict: the first has its lease for LEASE_SECONDS. PX counts in "
    expected += "milliseconds (LEASE_MS), EX in seconds"
    require_kept(report, did, expected, TAKE)


def later(what: str) -> str:
    """What the grader did: it stopped this, and then let a lease's time pass."""
    return f"kill -STOP {what}, and {LATER:g} s later (LEASE_SECONDS is {LEASE:g}):\n" + curl(
        "POST", "/start"
    )


@pytest.mark.task("12.1")
@played_by(Steps)
def test_a_start_that_stops_at_any_point_makes_way(steps: Steps) -> None:
    with steps.without_worker() as starts:
        points = crash_points(
            starts[0],
            steps.data,
            reset=steps.gated.reset,
            rule=next_is_accepted,
            ways=["pause"],
            meanwhile=[time_passes(steps.data, LATER), starts[1]],
        )
    expected = "202 Accepted, from another API process: a lease ends by itself, LEASE_SECONDS "
    expected += "after it was taken. So it is taken and given its end in one command: SET with NX "
    expected += "and PX"
    require_survived(points, later("an API process in the middle of a start"), expected, TAKE)


def next_is_accepted(trace: Trace) -> str | None:
    """The rule after a crash: the start that comes one lease later is accepted."""
    if (wrong := unanswered(trace)) is not None:
        return wrong.got
    answers = [one.result.answer for one in trace.outcomes if isinstance(one.result, Called)]
    if not answers:
        return "no answer: it waited for ever"
    return None if answers[0].status == 202 else str(answers[0])


@pytest.mark.task("12.1")
@played_by(Steps)
def test_a_run_whose_worker_stops_at_any_point_makes_way(steps: Steps) -> None:
    def makes_way(trace: Trace) -> str | None:
        if (fault := next_is_accepted(trace)) is not None:
            return fault
        run_id = steps.worker.run_id
        now = status(steps.api, run_id)
        return f"202, and run {run_id} still is {now}" if now in ACTIVE else None

    points = crash_points(
        steps.actor,
        steps.data,
        reset=steps.worker.reset,
        rule=makes_way,
        ways=["pause"],
        meanwhile=[time_passes(steps.data, LATER), steps.starts[1]],
    )
    did = later("a worker in the middle of a run")
    did += f"\n{curl('GET', '/status/RUN_ID')}   (of that run)"
    expected = "202 Accepted, and the status LOST: a run without its lease is nobody's any more"
    require_survived(points, did, expected, LOST)


@pytest.mark.task("12.1")
@played_by(Killed)
def test_a_run_whose_worker_died_is_lost(killed: Killed) -> None:
    run_id = killed.run_and_kill()
    now = killed.status_within(killed.lease + 1, run_id)
    did = f"./workshop break worker\n{curl('GET', f'/status/{run_id}')}"
    expected = f"LOST, within one lease ({killed.lease:g} s here)"
    require(now == "LOST", did, expected, f"{now}, for longer than that", LOST)
    if killed.disturbed and killed.pace == 1:
        raise Undecided  # what would have kept the lease may have been late, too


@pytest.mark.task("12.2")
@played_by(Beats)
def test_a_run_keeps_its_lease_for_as_long_as_it_takes(beats: Beats) -> None:
    run_id, kernel = beats.take_running()
    beats.require_renewal(run_id, beats.long_run)
    did = f"{beats.long_run}, and a Redis that is silent for a moment"
    beats.be_silent(beats.worker_of(kernel))
    beats.require_renewal(run_id, did)
    require(alive(kernel), did, "the kernel works on", "it is gone", HEARTBEAT)
    beats.api.post("/start").expect(409, f"run {run_id} is in the way", HEARTBEAT)
    beats.running = run_id, kernel


@pytest.mark.task("12.2")
@played_by(Beats)
def test_a_run_that_has_lost_its_lease_gives_up_at_once(beats: Beats) -> None:
    run_id, kernel = beats.take_running()
    worker = beats.worker_of(kernel)
    beats.data.advance(beats.lease + 1)
    did = f"{curl('POST', '/start')}, and in the middle of its notebook the lease ends"
    decided = eventually(lambda: not alive(kernel) or beats.active(run_id), AT_ONCE * beats.pace)
    require(
        not alive(kernel) and decided,
        did,
        f"that the worker ends its kernel: run {run_id} is LOST, and another may begin",
        f"run {run_id} is {beats.status(run_id)}, and its kernel works on",
        HEARTBEAT,
    )
    now = beats.status(run_id)
    require(now == "LOST", f"{did}\n{curl('GET', f'/status/{run_id}')}", "LOST", now, HEARTBEAT)
    worker.kill()  # it must not touch the next run, which is for the other worker
    beats.begin()


@pytest.mark.task("12.2")
@played_by(Beats)
def test_a_run_whose_lease_is_anothers_gives_up_at_once(beats: Beats) -> None:
    run_id, kernel = beats.take_running()
    with paused(beats.worker_of(kernel).child):
        beats.data.advance(beats.lease + 1)
        beats.begin()
    require(
        eventually(lambda: not alive(kernel), AT_ONCE * beats.pace),
        PAUSED,
        f"that it ends its kernel: run {run_id} has lost its lease to another run",
        f"the kernel of run {run_id} works on, so there are two",
        HEARTBEAT,
    )


@pytest.mark.task("12.2")
@played_by(Steps)
def test_a_run_ends_with_its_notebook(steps: Steps) -> None:
    with steps.with_kernel("print('done')"):
        for _ in range(TRIES):
            run_id = steps.start()
            ended = steps.status_within(ENDS * steps.pace, run_id)
            if ended != "FAILED":
                break  # else its kernel may have found a port taken
    did = f"{curl('GET', f'/status/{run_id}')}   (when its notebook has ended)"
    expected = "SUCCEEDED: the heart stops with the notebook, and then the lease is released"
    require(ended == "SUCCEEDED", did, expected, ended, HEARTBEAT)
    steps.api.post("/start").expect(202, f"run {run_id} has ended", RELEASE)


@pytest.mark.task("12.3")
@played_by(Steps)
def test_a_worker_that_was_paused_takes_nothing_away(steps: Steps) -> None:
    before: list[str] = []

    def was(_: Trace) -> None:
        before.append(status(steps.api, steps.worker.run_id))

    def nothing_changed(trace: Trace) -> str | None:
        if (fault := next_is_accepted(trace)) is not None:
            return fault
        new = next(one.result for one in trace.outcomes if isinstance(one.result, Called))
        run_id = run_id_of(new.answer)
        if status(steps.api, run_id) == "LOST":
            return f"run {run_id} was accepted, and is LOST: its lease was taken away from it"
        old = status(steps.api, steps.worker.run_id)
        if old != before[-1]:
            return f"run {steps.worker.run_id} was {before[-1]}, and now it is {old}"
        return None

    points = crash_points(
        steps.actor,
        steps.data,
        reset=steps.worker.reset,
        rule=was,
        ways=["pause"],
        meanwhile=[time_passes(steps.data, LATER), steps.starts[1]],
        woken=nothing_changed,
    )
    expected = "that it changes nothing any more: the lease is the other run's, and its own run is "
    expected += "LOST. To compare and to delete is one step"
    require_survived(points, PAUSED, expected, RELEASE)


@pytest.mark.task("12.3")
@played_by(Beats)
def test_the_next_run_goes_on(beats: Beats) -> None:
    run_id = beats.take_started()
    now = beats.begun(run_id)
    did = f"{PAUSED}\n{curl('GET', f'/status/{run_id}')}"
    expected = f"RUNNING: the lease is run {run_id}'s, and none of the other run's business"
    require(now == "RUNNING", did, expected, now, RELEASE)


@pytest.mark.task("12.4")
@played_by(Steps)
def test_a_run_that_was_cancelled_before_it_began_never_runs(steps: Steps) -> None:
    with steps.with_kernel(steps.kernels.source):
        hold_run(steps.actor, steps.data)
        worker, run_id = steps.worker, steps.worker.run_id
        steps.api.post("/cancel").expect(202, f"run {run_id} is queued", CANCELS)
        steps.actor.release()
        did = f"{curl('POST', '/start')}\n{curl('POST', '/cancel')}\nand then a worker comes"
        eventually(lambda: worker.has_done_with(run_id) or steps.kernels.any())
        require(
            not steps.kernels.any(),
            did,
            "that the cancelled run is never executed",
            f"the notebook was executed; run {run_id} is {steps.status(run_id)}",
            CANCEL,
        )
        now = steps.status(run_id)
        require(now == "CANCELLED", did, f"CANCELLED for run {run_id}", now, CANCEL)
        steps.api.post("/start").expect(202, "a cancelled run is not in the way", CLAIM)


@pytest.mark.task("12.4")
@played_by(Cancels)
def test_a_running_notebook_is_cancelled_with_its_kernel(cancels: Cancels) -> None:
    did = f"{curl('POST', '/start')}\nand, when its notebook runs,\n{curl('POST', '/cancel')}"
    run_id, kernel = cancels.new_run(did)
    cancels.api.post("/cancel").expect(202, f"run {run_id} is to end", CANCELS)
    did = f"{curl('POST', '/cancel')}\n{curl('GET', f'/status/{run_id}')}"
    require_cancelled(cancels, run_id, kernel, did)
    answer = cancels.start_one_that_fails()
    answer.expect(202, f"run {run_id} has ended, and makes way", CANCEL)


@pytest.mark.task("12.4")
@played_by(Cancels)
def test_a_run_that_is_cancelled_just_before_it_runs_ends_at_once(cancels: Cancels) -> None:
    run_id = cancels.cancel_late()
    did = f"{curl('POST', '/start')}\nand, when the worker is about to begin the run,\n"
    did += f"{curl('POST', '/cancel')}\n{curl('GET', f'/status/{run_id}')}"
    require_cancelled(cancels, run_id, min(cancels.kernels.new(), default=None), did)


def require_cancelled(cancels: Cancels, run_id: str, kernel: int | None, did: str) -> None:
    """Raise Wrong unless the run, which this kernel executes, is CANCELLED in a moment."""

    def at_work() -> bool:
        return kernel is not None and alive(kernel) and cancels.active(run_id)

    seconds = A_MOMENT * cancels.pace
    if eventually(lambda: not at_work(), seconds):
        seconds = GONE_TIMEOUT * cancels.pace
        cancels.status_within(seconds, run_id)
    got = f"{(now := cancels.status(run_id))}, after {seconds:g} s"
    require(now == "CANCELLED", did, "CANCELLED a moment later", got, CANCEL)
    gone = kernel is None or eventually(lambda: not alive(kernel), seconds)
    require(gone, did, "that the run's kernel is gone", "it still runs", CANCEL)
