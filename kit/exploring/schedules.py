"""Tries all schedules of a few calls."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from explorer import Actor, Moment, Trace, explore, time_passes
from explorer.players import Player
from explorer.schedules import PREEMPTIONS
from kit.exploring.findings import Search
from kit.exploring.judging import fault_of_end, fault_of_schedule, status_of
from kit.exploring.revokes import Revokes
from kit.exploring.subject import Subject, Tried
from kit.grading.api import Api
from kit.grading.gated.worker import TIMEOUT, GatedWorker
from kit.processes.child import NotReady, wait_until

APART = 600  # seconds between two starts; a run may take as long


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

    def is_over() -> bool:
        return worker.has_done_with(worker.run_id)

    return _with_run(subject, worker, subject.starts()[0], is_over, name, tried)


def cancel_and_run(subject: Subject, worker: GatedWorker, name: str, tried: Tried) -> Search:
    """A cancel at any moment of a run, its end included."""
    call = subject.cancel()
    with Revokes(worker, subject.data.redis) as revokes:
        call.operation = partial(revokes.heard, call.operation)
        return _with_run(subject, worker, call, revokes.is_over, name, tried)


def _with_run(
    subject: Subject,
    worker: GatedWorker,
    call: Actor,
    is_over: Callable[[], bool],
    name: str,
    tried: Tried,
) -> Search:
    """The worker has taken a run when the call comes, and sends its first command for it."""

    def reset() -> None:
        worker.reset()
        worker.take()

    def end_of_run() -> str:
        """Wait until the worker has done with its run. Returns the status of the run."""
        with suppress(NotReady):
            wait_until(is_over, "the end of a run", TIMEOUT, worker.child)
        return status_of(worker.api, worker.run_id)

    run = Actor(worker.name, worker.gate, end_of_run)
    with subject.notebook_without_kernel():
        return _search(
            subject, name, [run, call], tried, preemptions=1, reset=reset, fault=fault_of_end
        )


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
