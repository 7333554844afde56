"""Tries all schedules of a few calls."""

from collections.abc import Sequence

from explorer import Actor, Moment, Trace, explore, time_passes
from explorer.players import Player
from explorer.schedules import PREEMPTIONS
from kit.exploring.findings import Search
from kit.exploring.judging import fault_of_schedule
from kit.exploring.subject import Subject, Tried

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
    players = [subject.starts()[0], subject.cancel()]
    return _search(subject, name, players, tried, queued=True)


def _search(
    subject: Subject,
    name: str,
    players: Sequence[Player],
    tried: Tried,
    *,
    alike: Sequence[Actor] = (),
    preemptions: int = PREEMPTIONS,
    queued: bool = False,
) -> Search:
    count = 0

    def count_it(_: Trace) -> None:
        nonlocal count
        count += 1
        tried(count)

    def reset() -> None:
        subject.reset()
        if queued:
            subject.observer.post("/start")

    report = explore(
        players,
        subject.data,
        reset=reset,
        rule=lambda trace: fault_of_schedule(trace, subject.observer),
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
