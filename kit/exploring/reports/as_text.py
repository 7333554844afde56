"""An exploration in the terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from explorer import Finding, Trace, as_lanes, find
from explorer.crashes import Way
from kit.exploring.findings import (
    RULE,
    CrashPoint,
    Exploration,
    Operation,
    Search,
    finding_of,
    table,
    ways_of,
)
from kit.terminal.screen import mark, paint

HAPPENED: dict[Way, str] = {"kill": "killed", "cut": "cut off", "pause": "paused"}
CRASHES: dict[Operation, str] = {
    "start": "An API process crashes in the middle of a start. An hour passes, and another is asked"
    " to start a run.",
    "run": "The worker crashes in the middle of a run. An hour passes, and the API is asked to"
    " start a run.",
}
FIRST = "(before its first command)"
CELL = 18  # columns of an outcome
COMMAND = 40  # of a command, at most


def as_text(found: Exploration, width: int) -> str:
    """All that was found, in lines of so many columns."""
    parts = ["\n".join(_heading(found, width))]
    for operation in CRASHES:
        if points := found.of(operation):
            parts.append("\n".join(_table(operation, points, width)))
    parts += found.left_out
    parts += [_schedule(search, width) for search in found.searches if search.failing is not None]
    parts += [_crash(point, width) for point in found.examples]
    parts.append(conclusion(found))
    return "\n\n".join(parts)


def conclusion(found: Exploration) -> str:
    """What came of it, in a sentence."""
    tried = [counted(found.schedules, "schedule")]
    if found.points:
        tried.append(counted(len(found.points), "crash point"))
    began = f"{' and '.join(tried)} tried in {found.seconds:.0f} s: "
    schedules = sum(not search.kept for search in found.searches)
    broken = [
        counted(count, what)
        for count, what in ((schedules, "schedule"), (len(found.broken), "crash point"))
        if count
    ]
    if broken:
        verb = "breaks" if schedules + len(found.broken) == 1 else "break"
        return f"{began}{' and '.join(broken)} {verb} the rule."
    if not found.complete:
        return f"{began}none breaks the rule, but not all schedules could be tried."
    return f"{began}none breaks the rule."


def counted(count: int, what: str) -> str:
    """So many of something."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def extent(search: Search) -> str:
    """How many schedules a search has tried, in words."""
    count = counted(search.schedules, "schedule")
    if search.failing is not None:
        return f"{count} tried, and one breaks the rule: {search.failing.fault}"
    if not search.complete:
        return f"{count} tried; a process did nothing for too long, so this proves nothing"
    if not search.preemptions:
        return f"{count}: all there are"
    return f"{count}: all there are with at most {counted(search.preemptions, 'preemption')}"


def _heading(found: Exploration, width: int) -> Iterator[str]:
    yield paint(f"{found.exercise}, in {found.folder}", "strong")
    yield f"The rule: {RULE}."
    yield ""
    for search in found.searches:
        line = f"{mark(search.kept and search.complete)} {search.name}: {extent(search)}"
        yield textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False)


def _table(operation: Operation, points: Sequence[CrashPoint], width: int) -> Iterator[str]:
    ways = ways_of(points)
    room = max(20, min(COMMAND, width - 5 - (CELL + 2) * len(ways)))
    yield CRASHES[operation]
    yield ""
    heads = "".join(f"  {HAPPENED[way]:<{CELL}}" for way in ways)
    yield f"     {'after':<{room}}{heads}".rstrip()
    for row in table(points):
        command = row.command or FIRST
        short = command if len(command) <= room else command[: room - 1] + "…"
        cells = "".join(f"  {_cell(row.points.get(way))}" for way in ways)
        yield f"{row.number:>3}  {short:<{room}}{cells}".rstrip()


def _cell(point: CrashPoint | None) -> str:
    if point is None:
        return " " * CELL
    sign = mark(point.outcome.kept)
    return f"{sign} {point.outcome:<{CELL - 2}}"


def _schedule(search: Search, width: int) -> str:
    assert search.failing is not None
    return _drawn(search.name, search.failing, find(search.failing), width)


def _crash(point: CrashPoint, width: int) -> str:
    return _drawn(title_of(point), point.story, finding_of(point), width, full=True)


def title_of(point: CrashPoint) -> str:
    """What crashed, how and when."""
    when = f"after {point.command}" if point.command else "before its first command"
    return f"a {point.operation}, {HAPPENED[point.way]} {when}"


def _drawn(title: str, trace: Trace, finding: Finding, width: int, *, full: bool = False) -> str:
    drawn, _, sentence = as_lanes(trace, finding, width=width, full=full).rpartition("\n\n")
    words = textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)
    return "\n\n".join([_title(title), drawn, words])


def _title(text: str) -> str:
    return paint(f"{text[0].upper()}{text[1:]}", "strong")
