"""Draw what `./workshop explore` finds on three solutions, for handbook and slides.

python -m tools.explored_drawings
"""

import re
from collections.abc import Callable
from itertools import count

from explorer import Finding, Trace, as_svg, find
from kit.course import catalogue
from kit.exploring.crashes import crashes_of_run
from kit.exploring.findings import Outcome, finding_of
from kit.exploring.lost_answers import lost_answers
from kit.exploring.schedules import two_starts
from kit.exploring.subject import Subject, opened
from kit.workspace import ROOT

ASSETS = ROOT / "docs" / "assets"
MONTH = re.compile(r"20\d\d-\d\d-")  # that of the day on which a run is queued
ID = re.compile(r"\b[0-9a-f]{8}\b")
# SETEX and PUBLISH of a result. Whether an API process listens yet depends on the moment.
LISTENERS = re.compile(r"\[OK, \d\]")


def two_get_in(subject: Subject) -> tuple[Trace, Finding]:
    """06: two starts, and nobody looks."""
    trace = two_starts(subject, "", _quietly).failing
    assert trace is not None
    return trace, find(trace)


def dead_worker(subject: Subject) -> tuple[Trace, Finding]:
    """07: the worker is killed in the middle of a run."""
    with subject.worker() as worker:
        points = crashes_of_run(subject, worker, _quietly, ways=("kill",))
    broken = [point for point in points if point.outcome is Outcome.FOR_EVER]
    point = broken[len(broken) // 2]
    return point.story, finding_of(point)


def comes_twice(subject: Subject) -> tuple[Trace, Finding]:
    """12: an answer is lost, and so a message is sent twice."""
    trace = lost_answers(subject, "", _quietly).failing
    assert trace is not None
    return trace, find(trace)


DRAWINGS: dict[str, tuple[str, Callable[[Subject], tuple[Trace, Finding]]]] = {
    "explored-two-get-in": ("06", two_get_in),
    "explored-dead-worker": ("07", dead_worker),
    "explored-comes-twice": ("12", comes_twice),
}


def drawn(name: str) -> str:
    """The drawing of that name, made anew. Ids are others in each schedule, so ours stand there."""
    number, explore = DRAWINGS[name]
    with opened(catalogue.find(number).solution) as subject:
        trace, finding = explore(subject)
    svg = as_svg(trace, finding, name=name, full=True)
    ours: dict[str, str] = {}
    numbers = count(1)
    svg = LISTENERS.sub("[OK, 0]", MONTH.sub("2026-11-", svg))
    return ID.sub(lambda found: ours.setdefault(found[0], _id(next(numbers))), svg)


def _id(number: int) -> str:
    return f"{number * 0x1F3D5B79 % 0xFFFFFFFF:08x}"


def _quietly(_: int) -> None:
    """Show no progress."""


if __name__ == "__main__":
    for name in DRAWINGS:
        (ASSETS / f"{name}.svg").write_text(drawn(name), encoding="utf-8")
