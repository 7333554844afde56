"""`./workshop agenda`: the day by the clock."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.commands.instructor.agenda import minute_of
from kit.course import catalogue
from kit.course.agenda import (
    BREAK,
    BUFFER,
    LAST,
    LENGTHS,
    Block,
    Plan,
    Slides,
    Wish,
    all_slides,
    clock,
    make,
    slides_for,
    with_breaks,
)
from kit.course.catalogue import TRACKS, Exercise
from kit.errors import KitError
from kit.workspace import ROOT


def agenda(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "kit", "agenda", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def exercise(number: int, minutes: int) -> Exercise:
    return Exercise(f"{number:02}-it", f"It {number}", minutes, ("evening",), (), {})


SOME = (exercise(1, 10), exercise(2, 20), exercise(11, 30))
DECKS = (Slides("hello", 0, 5), Slides("one", 1, 4), Slides("two", 2, 6), Slides("end", LAST, 5))


def plan(
    minutes: int | None,
    exercises: Sequence[Exercise] = SOME,
    slides: Sequence[Slides] = DECKS,
    track: str = "evening",
) -> Plan:
    return make(Wish(track, tuple(exercises), tuple(slides)), 0, minutes)


# All of it takes 80 minutes, a break in the middle, and 3 to spare.
@pytest.mark.parametrize(
    ("minutes", "gone", "spare"),
    [
        (93, 0, 3),
        (92, 1, 92 - 50),  # exercise 11, with which the break goes, too
        (53, 1, 3),
        (52, 2, 7),  # the outlook
        (47, 3, 16),  # exercise 1, and its slides
        (33, 4, 5),  # half of the slides that give most: here two give the same
        (30, 5, 5),
    ],
)
def test_optional_parts_go_one_by_one_until_it_fits(minutes: int, gone: int, spare: int) -> None:
    made = plan(minutes)
    words = [
        "exercise 11 It 11 (bonus)",
        "the slides of the deck end",
        "exercise 01 It 1, which the others can do without",
        "3 min of the slides of the deck hello",
        "3 min of the slides before exercise 02",
    ]
    assert list(made.gone) == words[:gone]
    assert made.over == 0
    assert made.ends == minutes
    assert made.blocks[-1] == Block("buffer", made.blocks[-1].title, spare)
    assert spare >= BUFFER


def test_without_an_end_nothing_goes_and_nothing_is_left_over() -> None:
    made = plan(None)
    assert (made.gone, made.over, made.ends) == ((), 0, 80 + BREAK)


@pytest.mark.parametrize(("minutes", "over"), [(24, 1), (25, 0), (10, 15)])
def test_what_cannot_fit_is_planned_all_the_same(minutes: int, over: int) -> None:
    made = plan(minutes)
    assert (made.over, made.ends) == (over, 25)
    assert len(made.gone) == 5


def test_the_last_exercise_is_not_given_up() -> None:
    made = plan(5, [exercise(11, 30)])
    assert [block.title for block in made.blocks if block.kind == "exercise"] == ["11 It 11"]


def test_slides_go_with_their_exercise() -> None:
    made = plan(None, [exercise(2, 20)])
    assert [block.title for block in made.blocks] == ["hello", "two", "02 It 2", "end"]


def test_who_learns_alone_reads_and_is_not_hurried() -> None:
    made = plan(30, track="self-paced")
    assert {block.kind for block in made.blocks} == {"reading", "exercise"}
    assert not any("in short" in block.title for block in made.blocks)


def test_breaks_part_the_time_evenly_but_never_slides_from_their_exercise() -> None:
    blocks = [
        Block(kind, title, minutes)
        for kind, title, minutes in [
            ("slides", "a", 5), ("exercise", "A", 50), ("slides", "b", 5), ("exercise", "B", 50),
            ("slides", "c", 5), ("exercise", "C", 50),
        ]
    ]  # fmt: skip
    assert [block.title for block in with_breaks(blocks)] == [
        *["a", "A", "Break", "b", "B", "Break", "c", "C"]
    ]
    assert [block.title for block in with_breaks(blocks[:2])] == ["a", "A"]


def test_halves_of_minutes_are_whole_minutes_on_the_clock() -> None:
    made = plan(None, SOME[:2], [Slides("x", 1, 2.5), Slides("y", 2, 2.5)])
    assert [(at, minutes) for at, minutes, _ in made.timed()] == [
        (0, 3),
        (3, 10),
        (13, 2),
        (15, 20),
    ]
    assert made.ends == 35 == sum(made.sums().values())


@pytest.mark.parametrize(
    ("text", "minute"), [("18:30", 1110), ("9:05", 545), ("00:00", 0), ("23:59", 1439)]
)
def test_times_of_day(text: str, minute: int) -> None:
    assert minute_of("--start", text) == minute
    assert clock(minute) == f"{text:0>5}"


@pytest.mark.parametrize("text", ["24:00", "18:60", "1830", "18:3", "six", "-1:00", "18:30 ", ""])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(KitError, match="no time of day"):
        minute_of("--start", text)


def test_the_minutes_come_from_the_decks(tmp_path: Path) -> None:
    (tmp_path / "first.md").write_text(
        "# First\n\n```{notes}\n:minutes: 1\n```\n## Now\n```{now-you} 03\n```\n"
        "```{notes}\n:minutes: 0.5\n```\n## More\n```{notes}\n:minutes: 2\n```\n"
        "## Now again\n```{now-you} 04\n```\n```{notes}\n:minutes: 0.5\n```\n## Last\n"
        "```{notes}\n:minutes: 4\n```\n"
    )
    (tmp_path / "welcome.md").write_text("# Welcome\n```{notes}\n:minutes: 5\n```\n")
    (tmp_path / "talk.md").write_text("all of them\n")
    assert all_slides(tmp_path) == [
        Slides("welcome", 0, 5),
        Slides("first", 3, 1.5),
        Slides("first", 4, 6.5),
    ]


def test_without_slides_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="there are no slides"):
        all_slides(tmp_path)


@pytest.mark.parametrize("track", TRACKS)
def test_slides_and_exercises_fit_the_track(track: str) -> None:
    exercises = [each for each in catalogue.load() if track in each.tracks]
    length = LENGTHS.get(track)
    wish = Wish(track, tuple(exercises), tuple(slides_for(track, exercises)))
    made = make(wish, 0, length)
    assert made.over == 0
    shown = [block.title for block in made.blocks if block.kind == "exercise"]
    assert shown == [f"{each.number:02} {each.title}" for each in exercises]
    stretches = [0.0]
    for block in made.blocks:
        stretches.append(0) if block.kind == "break" else None
        stretches[-1] += block.minutes if block.kind not in ("break", "buffer") else 0
    assert all(30 <= minutes <= 75 for minutes in stretches), stretches
    if length is not None:
        assert made.blocks[-1].minutes >= BUFFER


def test_the_half_day_has_room_for_the_whole_talk() -> None:
    exercises = [each for each in catalogue.load() if "half-day" in each.tracks]
    wish = Wish("half-day", tuple(exercises), tuple(slides_for("half-day", exercises)))
    assert make(wish, 0, LENGTHS["half-day"]).gone == ()


def test_each_exercise_of_a_room_has_slides_before_it() -> None:
    numbers = [each.before for each in all_slides()]
    assert len(numbers) == len(set(numbers))
    course = catalogue.load()
    assert {0, *(each.number for each in course if set(LENGTHS) & set(each.tracks))} <= set(numbers)
    assert set(numbers) <= {0, *(each.number for each in course)}


def test_the_evening_by_the_clock() -> None:
    done = agenda("--track", "evening", "--start", "18:30", "--end", "20:30", "--skip", "01")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Evening, 18:30 to 20:30"
    timed = [line for line in lines if re.match(r"\d\d:\d\d", line)]
    assert timed[0].startswith("18:30") and timed[-1] == "20:30  end"
    assert [line.split()[4] for line in timed if " exercise " in line] == [
        *["02", "05", "06", "07", "10"]
    ]
    assert sum(" break " in line for line in timed) == 1
    assert "Given up to make room:" in done.stdout


def test_markdown_is_one_table() -> None:
    done = agenda("--track", "half-day", "--start", "9:00", "--skip", "1", "--format", "markdown")
    assert done.returncode == 0
    assert done.stdout.startswith("# Half-day, 09:00 to 13:00\n\n| time | min | | |\n| --- |")
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {5}
    assert not any("Poetry" in line for line in table)


def test_what_cannot_fit_is_a_warning_that_says_by_how_much() -> None:
    done = agenda("--start", "18:30", "--end", "19:30")
    assert done.returncode == 0
    ends = done.stdout.splitlines()[0].removeprefix("Evening, 18:30 to ")
    over = minute_of("", ends) - minute_of("", "19:30")
    assert f"it does not fit: 19:30 is {over} min too early" in done.stderr
    assert f"Try: --end {ends}" in done.stderr
    assert agenda("--start", "18:30", "--end", ends).stderr == ""


def test_past_midnight_the_clock_starts_anew() -> None:
    done = agenda("--start", "23:00")
    assert done.stdout.startswith("Evening, 23:00 to 01:00\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--start", "18:30", "--end", "18:30"], "--end 18:30 is not after --start 18:30"),
        (["--start", "20:30", "--end", "18:30"], "--end 18:30 is not after --start 20:30"),
        (["--start", "25:00"], "--start is '25:00', which is no time of day"),
        (["--end", "soon"], "--end is 'soon', which is no time of day"),
        (["--track", "morning"], "there is no track 'morning'; there is evening, half-day"),
        (["--skip", "99"], "there is no exercise '99'"),
        (["--format", "html"], "there is no format 'html'; there is text, markdown"),
        (
            [word for n in ("2", "5", "6", "7", "10") for word in ("--skip", n)],
            "nothing is left of the track evening",
        ),
    ],
)
def test_what_is_impossible_is_refused(words: list[str], said: str) -> None:
    done = agenda(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
