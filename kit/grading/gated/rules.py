"""The rules of a project, as its schedules show them: what breaks one is the failure of a task."""

import re
from collections.abc import Sequence

from explorer import Point, Report, Trace, as_lanes, find
from kit.errors import KitError
from kit.grading.gated.project import CallResult
from kit.verdicts import values
from kit.verdicts.failure import Wrong
from kit.verdicts.values import Kind

LANES = 72  # columns of a schedule in a message
# Ids and tokens in a schedule: whole, or cut off at the end of a lane.
MADE_ANEW = re.compile(r"\b[0-9a-f]{8,}\b|\b[0-9a-f]+(?=…)")


def statuses(trace: Trace) -> list[int]:
    """The statuses of all calls of a schedule that were answered, in order of size."""
    return sorted(one.result.status for one in trace.outcomes if isinstance(one.result, CallResult))


def unanswered(trace: Trace) -> Wrong | None:
    """Why a call of this schedule has no answer, if one has none."""
    for one in trace.outcomes:
        if isinstance(one.result, Wrong):
            return one.result
    return None


def require_kept(report: Report, did: str, expected: str, where: str) -> None:
    """Raise Wrong with the schedule that breaks the rule, if there is one.

    Raises KitError when the search is not complete: then nothing is proven.
    """
    if report.failing is not None:
        raise broken(report.failing, did, expected, where)
    if not report.complete or report.silent:
        raise _undecided(report.silent, report.schedules)


def require_survived(points: Sequence[Point], did: str, expected: str, where: str) -> None:
    """Raise Wrong with the first crash point after which the rule is broken, if there is one.

    Raises KitError when not all points were tried as they should be: then nothing is proven.
    """
    for point in points:
        if point.fault is not None:
            raise broken(point.trace, did, expected, where)
    if silent := sum(point.trace.silent for point in points):
        raise _undecided(silent, len(points))


def _undecided(silent: int, tried: int) -> KitError:
    return KitError(
        f"a process did nothing for too long, so {silent} of {tried} schedules could not be tried "
        "as they should be",
        "./workshop doctor",
    )


def broken(trace: Trace, did: str, expected: str, where: str) -> Wrong:
    """The failure that this schedule shows: what came of it, and its steps."""
    schedule = as_lanes(trace, find(trace), width=LANES)
    for found in MADE_ANEW.findall(schedule):
        values.note(Kind.NAME, found)
    return Wrong(did, expected, trace.fault or "", where, schedule=schedule)


def calls(outcomes: Sequence[int]) -> str:
    """Statuses in words: "once 202, 5 times 409"."""
    count = {1: "once", 2: "twice"}
    return ", ".join(
        f"{count.get(times := outcomes.count(status), f'{times} times')} {status}"
        for status in sorted(set(outcomes))
    )
