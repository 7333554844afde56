"""The course as a line: on pages with links, on a slide without, and in the terminal."""

import re

from kit.course import catalogue, line
from kit.course.progress import State

COURSE = catalogue.load()


def test_a_page_has_a_station_for_each_exercise_and_says_which_one_it_is_about() -> None:
    here = COURSE[6]
    html = line.as_html(COURSE, link=lambda each: f"../{each.slug}/", here=here, small=True)
    assert re.findall(r'<li data-station="([^"]+)"', html) == [each.slug for each in COURSE]
    assert re.findall(r'href="([^"]+)"[^>]* aria-current="page"', html) == [f"../{here.slug}/"]


def test_a_slide_has_notes_and_no_links() -> None:
    html = line.as_html(COURSE, note=lambda each: f"<small>{each.minutes} min</small>")
    assert html.count("<small>") == len(COURSE)
    assert "<a " not in html and "aria-current" not in html


def test_in_the_terminal_marks_stand_above_numbers() -> None:
    begun: tuple[State, ...] = ("passed", "check again", "skipped", "started")
    ahead: list[State] = ["not started"] * (len(COURSE) - len(begun))
    states = dict(zip(COURSE, [*begun, *ahead], strict=True))
    marks, numbers = line.as_text(states, COURSE[3], 80).splitlines()
    assert marks.startswith("✓──~──-──●──○──○")
    assert numbers.startswith("01 02 03 04 05")
    assert len(marks) < len(numbers) == 3 * len(COURSE) - 1
    assert line.as_text(states, None, len(numbers) - 1) == "", "It would wrap."
