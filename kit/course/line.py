"""The course as a line with a station for each exercise: for pages, slides and the terminal."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from kit.course.catalogue import Exercise
from kit.course.progress import State

MARKS: dict[State, str] = {"passed": "✓", "check again": "~", "skipped": "-"}
HERE, AHEAD = "●", "○"


def nothing(_: Exercise) -> str:
    """For a line without links, or without notes."""
    return ""


def as_html(
    course: Sequence[Exercise],
    *,
    link: Callable[[Exercise], str] = nothing,
    note: Callable[[Exercise], str] = nothing,
    here: Exercise | None = None,
    small: bool = False,
) -> str:
    """An ordered list. `link` gives an address, `note` HTML, `here` is what the page is about.

    The names in `data-station` are for the served handbook, which colours the stations.
    """
    stations = []
    for each in course:
        name = f"<b>{each.number:02}</b> <span>{escape(each.title)}</span>"
        address = link(each)
        if address:
            current = ' aria-current="page"' if each == here else ""
            tip = f' title="{escape(each.title)}"' if small else ""
            name = f'<a href="{escape(address)}"{tip}{current}>{name}</a>'
        stations.append(f'<li data-station="{each.slug}">{name}{note(each)}</li>')
    kind = "course-line small" if small else "course-line"
    return f'<ol class="{kind}" aria-label="The course">{"".join(stations)}</ol>'


def as_text(states: Mapping[Exercise, State], current: Exercise | None, width: int) -> str:
    """Two lines: the stations, and their numbers. Empty where they do not fit `width` columns."""
    signs = [HERE if each == current else MARKS.get(states[each], AHEAD) for each in states]
    line, numbers = "──".join(signs), " ".join(f"{each.number:02}" for each in states)
    return f"{line}\n{numbers}" if len(numbers) <= width else ""
