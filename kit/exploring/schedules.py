"""Tries all schedules of a few calls."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import takewhile

from redis.client import PubSub

from explorer import Actor, Moment, Trace, explore, time_passes
from explorer.players import Player
from explorer.schedules import PREEMPTIONS
from kit.exploring.findings import Search
from kit.exploring.judging import fault_of_end, fault_of_schedule, status_of
from kit.exploring.subject import Subject, Tried
from kit.grading.api import Api
from kit.grading.gated.worker import TIMEOUT, GatedWorker
from kit.processes.child import NotReady, wait_until

APART = 600  # seconds between two starts; a run may take as long
BROADCASTS = "*celery.pidbox*"  # the channel on which Celery tells all workers something
HEARD_TIMEOUT = 10.0  # seconds in which a worker hears of it


def two_starts(subject: Subject, name: str, tried: Tried) -> Search:
    """Two starts at once, at two API processes."""
    starts = subject.starts()
    return _search(subject, name, starts, tried, alike=starts)


def starts_apart(subject: Subject, name: str, tried: Tried) -> Search:
    """Two starts, and before, between or after them so much time that a lock may end."""
    starts = subject.starts()
    players: list[Player] = [*starts, time_passes(subject.data, APART)]
    return _search(subject, name, players, tried, alike=starts, preemptions=0)


def start_and_cancel(subject: Subject, name: str, tried: Tried) -> Search:
    """A start and a cancel at once, while a run is queued."""

    def reset() -> None:
        subject.reset()
        subject.observer.post("/start")

    return _search(subject, name, [subject.starts()[0], subject.cancel()], tried, reset=reset)


def start_and_run(subject: Subject, worker: GatedWorker, name: str, tried: Tried) -> Search:
    """A start at any moment of a run, its end included."""
    return _with_run(subject, worker, subject.starts()[0], name, tried)


def cancel_and_run(subject: Subject, worker: GatedWorker, name: str, tried: Tried) -> Search:
    """A cancel at any moment of a run, its end included.

    A revoke is published, and nobody waits for the workers. On a busy machine, a run that is let go
    on at once would be over before its worker has read that. So it is waited for here.
    """
    call = subject.cancel()
    cancel = call.operation

    def heard_cancel() -> object:
        with subject.data.redis.pubsub() as published:  # type: ignore[no-untyped-call]
            published.psubscribe(BROADCASTS)
            answer = cancel()
            if _has_message(published):
                _wait_until_over(worker, "the worker to hear of a cancel", HEARD_TIMEOUT)
        return answer

    call.operation = heard_cancel
    return _with_run(subject, worker, call, name, tried)


def _has_message(published: PubSub) -> bool:
    """Whether something has been published until now: the answer to a ping comes after it."""
    published.ping()
    kinds = (message["type"] for message in published.listen())  # type: ignore[no-untyped-call]
    return "pmessage" in takewhile(lambda kind: kind != "pong", kinds)


def _with_run(
    subject: Subject, worker: GatedWorker, call: Actor, name: str, tried: Tried
) -> Search:
    """The worker has taken a run when the call comes, and sends its first command for it."""

    def reset() -> None:
        worker.reset()
        worker.take()

    run = Actor(worker.name, worker.gate, lambda: _end_of_run(worker))
    with subject.notebook_without_kernel():
        return _search(
            subject, name, [run, call], tried, preemptions=1, reset=reset, fault=fault_of_end
        )


def _end_of_run(worker: GatedWorker) -> str:
    """Wait until the worker has done with its run, or has killed it. Returns its status."""
    _wait_until_over(worker, "the end of a run", TIMEOUT)
    return status_of(worker.api, worker.run_id)


def _wait_until_over(worker: GatedWorker, what: str, timeout: float) -> None:
    """Wait until the worker's log says that it has done with its run, or kills it."""
    run_id = worker.run_id

    def over() -> bool:
        return worker.has_done_with(run_id) or f"Terminating {run_id}" in worker.child.output()

    with suppress(NotReady):
        wait_until(over, what, timeout, worker.child)


def _search(
    subject: Subject,
    name: str,
    players: Sequence[Player],
    tried: Tried,
    *,
    alike: Sequence[Actor] = (),
    preemptions: int = PREEMPTIONS,
    reset: Callable[[], object] | None = None,
    fault: Callable[[Trace, Api], str | None] = fault_of_schedule,
) -> Search:
    count = 0

    def count_it(_: Trace) -> None:
        nonlocal count
        count += 1
        tried(count)

    report = explore(
        players,
        subject.data,
        reset=reset or subject.reset,
        rule=lambda trace: fault(trace, subject.observer),
        preemptions=preemptions,
        alike=alike,
        tried=count_it,
    )
    return Search(
        name,
        tuple(player.what if isinstance(player, Moment) else player.name for player in players),
        preemptions,
        report.schedules,
        report.seconds,
        complete=report.complete and not report.silent,
        failing=report.failing,
    )
