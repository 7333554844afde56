"""Tries all crash points of a start and of a run, and asks what the next start is answered."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from explorer import Actor, Command, Outcome, Step, Trace, crash_points, time_passes
from explorer.crashes import Place, Point, Way
from kit.exploring.findings import CrashPoint, Operation
from kit.exploring.judging import LONG, Verdict, active_runs, after_crash
from kit.exploring.subject import Subject, Tried
from kit.grading.api import Answer
from kit.grading.gated.project import CallResult
from kit.grading.gated.worker import GatedWorker
from kit.verdicts.failure import Wrong

ID = re.compile(r"([0-9a-f]{8,}|(?=[a-f]*\d)[0-9a-f]{6,})…?")  # made anew in each schedule


def crashes_of_start(subject: Subject, tried: Tried) -> list[CrashPoint]:
    """All crash points of a start: the API process is killed, cut off, or paused."""
    victim, other = subject.starts()
    return _crashes(
        "start", ("kill", "cut", "pause"), subject, victim, other, subject.reset_all, tried
    )


def crashes_of_run(
    subject: Subject, worker: GatedWorker, tried: Tried, ways: Sequence[Way] = ("kill", "pause")
) -> list[CrashPoint]:
    """All crash points of a run: the worker is killed, or paused."""
    other = subject.starts()[1]

    def reset() -> None:
        subject.reset_worker(worker)

    def taken() -> list[str]:
        """The runs of others: the worker that has been woken up is at them, or will be."""
        return [run for run in active_runs(subject.observer) if run != worker.run_id]

    actor = subject.run_by(worker)
    return _crashes("run", ways, subject, actor, other, reset, tried, taken)


def _crashes(
    operation: Operation,
    ways: Sequence[Way],
    subject: Subject,
    victim: Actor,
    other: Actor,
    reset: Callable[[], object],
    tried: Tried,
    at_work: Callable[[], Sequence[str]] = lambda: (),
) -> list[CrashPoint]:
    verdicts: list[Verdict] = []

    def judged(trace: Trace, at_work: Sequence[str]) -> str | None:
        answer = _answer(trace, other)
        verdicts.append(after_crash(answer, subject.observer, subject.data, at_work))
        return verdicts[-1].words or None

    def crashed(trace: Trace) -> str | None:
        tried(len(verdicts) + 1)
        paused = trace.outcome(victim.name).state == "paused"
        if paused and trace.outcome(other.name).state != "waits":
            return None  # it is judged when it has been woken up
        return judged(trace, ())

    points = crash_points(
        victim,
        subject.data,
        reset=reset,
        rule=crashed,
        ways=ways,
        meanwhile=[time_passes(subject.data, LONG), other],
        woken=lambda trace: judged(trace, at_work()),
    )
    return [
        _crash_point(operation, victim.name, point, verdict)
        for point, verdict in zip(points, verdicts, strict=True)
    ]


def _answer(trace: Trace, other: Actor) -> Answer | None:
    """What the start was answered that follows a crash. None: it waits."""
    result = trace.outcome(other.name).result
    if isinstance(result, Wrong):
        raise result
    return result.answer if isinstance(result, CallResult) else None


def _crash_point(operation: Operation, victim: str, point: Point, verdict: Verdict) -> CrashPoint:
    steps = [step for step in point.trace.steps if step.actor == victim][: point.after]
    return CrashPoint(
        operation,
        point.way,
        point.after,
        replace(steps[-1], command=_masked(steps[-1].command)).asked if steps else "",
        Place.before(steps[-1].command, steps[:-1]) if steps else None,
        verdict.outcome,
        _story(point, victim),
        _sentence(point, victim, steps, verdict),
    )


def _masked(command: Command) -> Command:
    """The command without what is made anew in each schedule."""
    words = tuple(ID.sub("…", word) for word in command.words)
    return Command(words, tuple(map(_masked, command.parts)))


def _story(point: Point, victim: str) -> Trace:
    """What happened; of a process that was woken up, the outcome says so."""
    if point.way != "pause":
        return point.trace
    outcomes = [
        Outcome(one.actor, one.state, f"paused, then {one}")
        if one.actor == victim and one.state != "paused"
        else one
        for one in point.trace.outcomes
    ]
    return replace(point.trace, outcomes=tuple(outcomes))


def _sentence(point: Point, victim: str, steps: Sequence[Step], verdict: Verdict) -> str:
    if not verdict.words:
        return ""
    last = steps[-1].asked if steps else ""
    when = f"after {last}" if last else "before its first command"
    happened = {
        "kill": f"was killed {when}",
        "cut": f"got no answer to {last}",
        "pause": f"was paused {when}, and woke up {LONG} s later",
    }[point.way]
    name = victim if victim[0].isupper() else f"The {victim}"
    return f"{name} {happened}: {verdict.words}."
