"""Tries all schedules and all crash points of a runner."""

import re
from collections.abc import Callable, Sequence
from time import monotonic

from explorer import Actor, Moment, Step, Trace, attempt, crash_points, explore, time_passes
from explorer import Outcome as Ending
from explorer.crashes import Point, Way
from explorer.play import LIMIT, PATIENCE
from explorer.players import Player
from explorer.schedules import PREEMPTIONS
from kit.exploring.findings import CrashPoint, Exploration, Operation, Search
from kit.exploring.judging import Verdict, after_crash, fault_of_schedule
from kit.exploring.subject import Subject
from kit.grading.api import Answer
from kit.grading.failure import Wrong
from kit.grading.gated import Called

LONG = 3600  # seconds after which the lock or the lease of a crashed process has to be gone
APART = 600  # seconds between two starts; a run may take as long
WAYS: tuple[Way, ...] = ("kill", "cut", "pause")
STEPS = 200  # of a process that has been woken up; more are an endless loop
ID = re.compile(r"[0-9a-f]{8,}…?")  # ids are made anew in each schedule

Progress = Callable[[str, int], object]  # what is tried, and how often it has been tried

TWO_STARTS, APART_STARTS = "two starts at once", f"two starts, {APART} s apart"
START_AND_CANCEL = "a start and a cancel, while a run is queued"
CRASHED_START = "crash points of a start"
NOT_REFUSED = "A second start is let in after the first, so nothing else was tried."


def search_all(subject: Subject, found: Exploration, progress: Progress) -> None:
    """Try everything, and add it to `found`."""
    began = monotonic()
    starts = subject.starts()
    found.searches.append(_search(subject, TWO_STARTS, starts, progress, alike=starts))
    failing = found.searches[0].failing
    if failing is not None and not failing.preemptions:
        found.left_out.append(NOT_REFUSED)
    else:
        apart: list[Player] = [*starts, time_passes(subject.data, APART)]
        found.searches.append(
            _search(subject, APART_STARTS, apart, progress, alike=starts, preemptions=0)
        )
        if subject.can_cancel():
            calls = [starts[0], subject.cancel()]
            found.searches.append(_search(subject, START_AND_CANCEL, calls, progress, queued=True))
        found.points += _crashes_of_start(subject, progress)
    found.seconds = monotonic() - began


def _search(
    subject: Subject,
    name: str,
    players: Sequence[Player],
    progress: Progress,
    *,
    alike: Sequence[Player] = (),
    preemptions: int = PREEMPTIONS,
    queued: bool = False,
) -> Search:
    """Try all schedules of these players. `queued`: a run is queued before they begin."""
    count = 0

    def tried(_: Trace) -> None:
        nonlocal count
        count += 1
        progress(name, count)

    def reset() -> None:
        subject.reset()
        if queued:
            subject.observer.post("/start")

    progress(name, 0)
    report = explore(
        players,
        subject.data,
        reset=reset,
        rule=lambda trace: fault_of_schedule(trace, subject.observer),
        preemptions=preemptions,
        alike=alike,
        tried=tried,
    )
    return Search(
        name,
        tuple(map(_described, players)),
        preemptions,
        report.schedules,
        report.seconds,
        complete=report.complete and not report.silent,
        failing=report.failing,
    )


def _crashes_of_start(subject: Subject, progress: Progress) -> list[CrashPoint]:
    """All crash points of a start."""
    victim, other = subject.starts()
    judged: list[tuple[Trace, Verdict]] = []

    def rule(trace: Trace) -> str | None:
        progress(CRASHED_START, len(judged) + 1)
        passing = time_passes(subject.data, LONG).take(subject.data, 0.0, 0.0)
        next_start = attempt(other, subject.data, subject.reset)
        woken: list[Step] = []
        [ending] = trace.outcomes
        if ending.state == "paused":
            woken = _woken(victim, subject)
            ending = Ending(victim.name, "paused", f"paused, then {victim.outcome()}")
        story = Trace(
            (*trace.steps, passing, *next_start.steps, *woken),
            (ending, *next_start.outcomes),
        )
        verdict = after_crash(_answer(next_start), subject.observer, subject.data)
        judged.append((story, verdict))
        return verdict.words or None

    progress(CRASHED_START, 0)
    points = crash_points(victim, subject.data, reset=subject.reset_all, rule=rule, ways=WAYS)
    return [
        crash_point("start", point, story, verdict)
        for point, (story, verdict) in zip(points, judged, strict=True)
    ]


def crash_point(operation: Operation, point: Point, story: Trace, verdict: Verdict) -> CrashPoint:
    """One crash point, with the sentence that follows from it."""
    actor = story.outcomes[0].actor
    steps = point.trace.steps
    last = next((step for step in steps if step.cut), steps[-1] if steps else None)
    command = ID.sub("…", last.asked) if last else ""
    when = "before its first command" if last is None else f"after {last.asked}"
    happened = {
        "kill": f"was killed {when}",
        "cut": f"got no answer to {last.asked if last else ''}",
        "pause": f"was paused {when}, and woke up {LONG} s later",
    }[point.way]
    sentence = f"{actor} {happened}: {verdict.words}." if verdict.words else ""
    return CrashPoint(operation, point.way, point.after, command, verdict.outcome, story, sentence)


def _woken(victim: Actor, subject: Subject) -> list[Step]:
    """Let a paused process go on to the end of its operation. Returns what it does."""
    victim.wake()
    steps: list[Step] = []
    while len(steps) < STEPS and victim.settle(LIMIT) and not victim.ended:
        step = victim.take(subject.data, 0.0, PATIENCE)
        if step is None:
            break
        steps.append(step)
    victim.release()
    victim.end(LIMIT)
    return steps


def _answer(trace: Trace) -> Answer | None:
    """What the start was answered that follows a crash. None: it waits."""
    [outcome] = trace.outcomes
    if isinstance(outcome.result, Wrong):
        raise outcome.result
    return outcome.result.answer if isinstance(outcome.result, Called) else None


def _described(player: Player) -> str:
    """A player and what it does."""
    return player.what if isinstance(player, Moment) else player.name
