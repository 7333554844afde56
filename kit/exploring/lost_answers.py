"""Tries each answer of Redis that a start may not get: is its message sent twice, and then run?"""

from explorer import Trace, crash_points
from kit.exploring.findings import Search
from kit.exploring.judging import active_runs, messages
from kit.exploring.subject import Subject, Tried

LENGTH = 60  # seconds that a run takes, before notebooks


def lost_answers(subject: Subject, name: str, tried: Tried) -> Search:
    """A start whose connection is cut before each answer; then two workers."""
    victim = subject.starts(seconds=LENGTH)[0]
    count = 0

    def rule(trace: Trace) -> str | None:
        nonlocal count
        count += 1
        tried(count)
        for run in active_runs(subject.observer):
            if messages(subject.data, run) > 1 and subject.two_at_work(run):
                lost = next(step.asked for step in trace.steps if step.cut)
                return (
                    f"the answer to {lost} was lost, and so the message was sent again: two "
                    f"workers are at run {run} at the same time"
                )
        return None

    points = crash_points(victim, subject.data, reset=subject.reset_all, rule=rule, ways=["cut"])
    failing = [point.trace for point in points if point.fault]
    return Search(
        name,
        (victim.name, "worker 1", "worker 2"),
        0,
        len(points),
        0.0,
        complete=True,
        failing=failing[0] if failing else None,
    )
