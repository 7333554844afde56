"""A schedule in the terminal: a lane for each actor, command by command, with what each saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from explorer.crashes import Point
from explorer.findings import Finding
from explorer.trace import Step, Trace

NUMBER = 4  # columns
GAP = 2


@dataclass(frozen=True)
class Row:
    """A line of a drawing: a step, or how many others are left out there."""

    step: Step | None
    number: int = 0
    left_out: int = 0


def rows(trace: Trace, finding: Finding, *, full: bool = False) -> Iterator[Row]:
    """The steps that tell it, with a note where others are left out; or all of them."""
    left_out = 0
    for number, step in enumerate(trace.steps):
        if full or not finding.steps or number in finding.steps:
            if left_out:
                yield Row(None, left_out=left_out)
            yield Row(step, number + 1)
            left_out = 0
        else:
            left_out += 1
    if left_out:
        yield Row(None, left_out=left_out)


def lane_actors(trace: Trace) -> list[str]:
    """The actors that get a lane. Moments get none: they concern all actors."""
    moments = {step.actor for step in trace.steps if step.event}
    return [actor for actor in trace.actors if actor not in moments]


def as_lanes(trace: Trace, finding: Finding, *, width: int = 100, full: bool = False) -> str:
    """The schedule as text of so many columns, and the sentence below it."""
    actors = lane_actors(trace)
    size = max(12, (width - NUMBER) // max(1, len(actors)) - GAP)

    def line(number: object, cells: Sequence[str]) -> str:
        fitted = [cell if len(cell) <= size else cell[: size - 1] + "…" for cell in cells]
        return (f"{number!s:>{NUMBER - 1}} " + "  ".join(f"{c:<{size}}" for c in fitted)).rstrip()

    drawn = [line("", actors), line("", ["─" * size for _ in actors])]
    for row in rows(trace, finding, full=full):
        if row.step is None:
            drawn.append(line("", [more(row.left_out)]))
        elif row.step.event:
            drawn.append(line(row.number, [f"── {row.step.asked} ──"]))
        else:
            said = f" → {row.step.saw}"
            asked = row.step.asked
            room = max(8, size - len(said))
            text = (asked if len(asked) <= room else asked[: room - 1] + "…") + said
            drawn.append(line(row.number, [text if a == row.step.actor else "" for a in actors]))
    ends = {outcome.actor: str(outcome) for outcome in trace.outcomes}
    drawn += [line("", ["─" * size for _ in actors]), line("", [ends.get(a, "") for a in actors])]
    return "\n".join([*drawn, "", finding.sentence])


def more(count: int) -> str:
    """How many steps are left out."""
    return f"⋮ {count} other step{'s' if count > 1 else ''}"


def as_table(points: Sequence[Point]) -> str:
    """Crash points and what came of each, as text."""
    happened = {"kill": "killed", "cut": "cut off", "pause": "paused"}
    lines = []
    for point in points:
        last = next((step.asked for step in reversed(point.trace.steps)), "")
        if point.way == "cut":
            last = next((step.asked for step in point.trace.steps if step.cut), last)
        where = f"after {point.after}: {last}" if point.after else "before the first command"
        mark = "✗" if point.fault else "✓"
        lines.append(f"{mark} {happened[point.way]:<8} {where:<60.60} {point.fault or ''}".rstrip())
    return "\n".join(lines)
