"""What each task is worth: `--points FILE`.

[points]
"07" = 5      # an exercise: shared equally by those of its tasks that have no line of their own
"07.1" = 2    # a task
"""

import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.workspace import shown

# What one can write in a file, and type as the next command, is decimal.
FINEST = 1000


class _Bad(Exception):
    """An entry that says nothing we understand: its key, and why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def read(file: Path, course: Sequence[Exercise]) -> dict[str, Fraction]:
    """Points by task number. Raises KitError, which names the line."""
    try:
        text = file.read_text(encoding="utf-8")
        told = tomllib.loads(text)
    except OSError as error:
        raise KitError(f"{shown(file)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KitError(f"{shown(file)} is not text in UTF-8", _edit(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise KitError(f"{shown(file)} is not TOML: {error}", _edit(file)) from None
    try:
        return _points(told, course)
    except _Bad as bad:
        place = f"{shown(file)}, line {_line(text, bad.key)}"
        raise KitError(f"{place}: {bad}", _edit(file)) from None


def _points(told: dict[str, Any], course: Sequence[Exercise]) -> dict[str, Fraction]:
    for key in told:
        if key != "points":
            raise _Bad(key, f"{key!r} stands outside of the table [points]: that line comes first")
    table = told.get("points")
    if not isinstance(table, dict):
        raise _Bad("points", 'a table [points] is wanted, with lines such as "07.1" = 2')
    own: dict[str, Fraction] = {}
    shared: dict[int, Fraction] = {}
    for key, value in _entries(table):
        exercise, number = _named(key, course)
        if number in own or (not number and exercise.number in shared):
            raise _Bad(key, f"{key} has its points already, on another line")
        if number:
            own[number] = _number(key, value)
        else:
            shared[exercise.number] = _number(key, value)
    return {
        number: points
        for exercise in course
        for number, points in _of(exercise, own, shared.get(exercise.number)).items()
    }


def _of(
    exercise: Exercise, own: dict[str, Fraction], shared: Fraction | None
) -> dict[str, Fraction]:
    """The points of an exercise's tasks. `shared` is what the whole of it gives."""
    numbers = [task.number for task in exercise.tasks]
    given = {number: own[number] for number in numbers if number in own}
    others = [number for number in numbers if number not in own]
    if shared is None:
        return given | dict.fromkeys(others, Fraction(1))
    left = shared - sum(given.values())
    if left < 0 or (left and not others):
        key = f"{exercise.number:02}"
        alone = float(sum(given.values()))
        raise _Bad(key, f"{key} gives {float(shared):g}, but its tasks alone give {alone:g}")
    return given | {number: left / len(others) for number in others}


def _entries(table: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Keys and values. TOML takes 07.1 without its quotes for 1 in a table 07."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", each) for inner, each in value.items())
        else:
            yield key, value


def _named(key: str, course: Sequence[Exercise]) -> tuple[Exercise, str]:
    """The exercise, and the task's number if it is one."""
    found = re.fullmatch(r"(\d{1,2})(?:\.(\d{1,2}))?", key)
    number = int(found[1]) if found else 0
    exercise = next((each for each in course if each.number == number), None)
    if found is None or exercise is None:
        there = f"{course[0].number:02} to {course[-1].number:02}"
        raise _Bad(key, f"there is no exercise or task {key!r}; exercises are {there}")
    if found[2] is None:
        return exercise, ""
    task = f"{number}.{int(found[2])}"
    tasks = [each.number for each in exercise.tasks]
    if task not in tasks:
        raise _Bad(key, f"there is no task {key!r}; exercise {number:02} has {', '.join(tasks)}")
    return exercise, task


def _number(key: str, value: Any) -> Fraction:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= 1_000_000:
        raise _Bad(key, f"{key} = {value!r}: points are a number from 0 on")
    return Fraction(value).limit_denominator(FINEST)


def _line(text: str, key: str) -> int:
    """The number of the line that says so; 1 when none does."""
    last = key.split(".")[-1]
    names = "|".join(re.escape(name) for name in (key, last))
    for pattern in (
        rf"[\s\"'\[]*{re.escape(key)}[\"'\]\s]*(=|$|\.)",
        rf"[\s\"']*({names})[\s\"']*=",
    ):
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(pattern, line):
                return number
    return 1


def _edit(file: Path) -> str:
    return f"edit {shown(file)}; templates/points.toml is one to copy"
