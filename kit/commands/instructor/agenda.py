"""`agenda`: what an instructor does when, with breaks, cut so that it ends in time."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from kit.course import catalogue
from kit.course.agenda import HOUR, LENGTHS, Plan, Wish, clock, make, slides_for
from kit.course.catalogue import TRACKS, Exercise
from kit.errors import KitError

STARTS = {"evening": "18:30"}
ANY_START = "09:00"
AGENDA = "./workshop agenda --track {}"
TOO_LONG = """\
workshop: it does not fit: {end} is {over} min too early, and nothing optional is left
Try: --end {ends}, or --skip an exercise"""


def agenda(
    track: Annotated[str, typer.Option(help=f"One of {', '.join(TRACKS)}.")] = "evening",
    start: Annotated[
        str, typer.Option(metavar="HH:MM", help="18:30 for an evening, else 09:00.")
    ] = "",
    end: Annotated[
        str, typer.Option(metavar="HH:MM", help="Evening: 2 hours later; half-day: 4.")
    ] = "",
    skip: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Leave an exercise out; repeatable.")
    ] = None,
    as_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text or markdown.")
    ] = "text",
) -> None:
    """When to do what: slides, exercises and breaks, by the clock.

    What had to go so that it ends in time is said below it. A plan that cannot fit is printed all
    the same, with a warning.

    Example: ./workshop agenda --track evening --start 18:30 --end 20:30
    """
    if as_ not in FORMATS:
        raise KitError(f"there is no format {as_!r}; there is {', '.join(FORMATS)}")
    if track not in TRACKS:
        there = ", ".join(TRACKS)
        raise KitError(f"there is no track {track!r}; there is {there}", AGENDA.format("half-day"))
    begin = minute_of("--start", start or STARTS.get(track, ANY_START))
    exercises = _chosen(track, skip or [])
    wish = Wish(track, exercises, tuple(slides_for(track, exercises)))
    plan = make(wish, begin, _finish(begin, end, track))
    print(FORMATS[as_](plan))
    if plan.over:
        too_long = TOO_LONG.format(end=clock(plan.end or 0), over=plan.over, ends=clock(plan.ends))
        typer.echo(too_long, err=True)


def minute_of(option: str, text: str) -> int:
    """The minute of the day that "18:30" is. Raises KitError."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)", text, re.ASCII)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise KitError(f"{option} is {text!r}, which is no time of day", f"{option} 18:30")
    return int(found[1]) * HOUR + int(found[2])


def _finish(begin: int, end: str, track: str) -> int | None:
    if not end:
        return begin + LENGTHS[track] if track in LENGTHS else None
    finish = minute_of("--end", end)
    if finish <= begin:
        later = clock(min(begin + LENGTHS.get(track, 4 * HOUR), 24 * HOUR - 1))
        raise KitError(f"--end {end} is not after --start {clock(begin)}", f"--end {later}")
    return finish


def _chosen(track: str, skip: Sequence[str]) -> tuple[Exercise, ...]:
    exercises = catalogue.load()
    # What does not exist is a mistake; what this track leaves out anyway is none.
    skipped = {catalogue.find(name, exercises).slug for name in skip}
    chosen = tuple(e for e in exercises if track in e.tracks and e.slug not in skipped)
    if not chosen:
        raise KitError(f"nothing is left of the track {track}", AGENDA.format(track))
    return chosen


def _as_text(plan: Plan) -> str:
    wide = max(len(block.kind) for block in plan.blocks)
    lines = [f"{_title(plan)}\n"]
    for at, minutes, block in plan.timed():
        lines.append(f"{clock(at)}  {minutes:3} min  {block.kind:<{wide}}  {block.title}")
    return "\n".join([*lines, f"{clock(plan.ends)}  end", *_below(plan)])


def _as_markdown(plan: Plan) -> str:
    lines = [f"# {_title(plan)}\n", "| time | min | | |", "| --- | ---: | --- | --- |"]
    for at, minutes, block in plan.timed():
        lines.append(f"| {clock(at)} | {minutes} | {block.kind} | {block.title} |")
    return "\n".join([*lines, f"| {clock(plan.ends)} | | end | |", *_below(plan)])


def _title(plan: Plan) -> str:
    return f"{plan.track.capitalize()}, {clock(plan.start)} to {clock(plan.ends)}"


def _below(plan: Plan) -> Iterator[str]:
    yield ""
    yield ", ".join(f"{kind} {minutes} min" for kind, minutes in plan.sums().items())
    if plan.gone:
        yield "\nGiven up to make room:\n"
        yield from (f"- {what}" for what in plan.gone)


FORMATS = {"text": _as_text, "markdown": _as_markdown}
