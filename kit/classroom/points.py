"""The points of each task: `--points FILE`.

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
from kit.errors import KitError, disk_error
from kit.storage import text_of
from kit.workspace import shown

# Points are read as binary floats: this makes 0.1 a tenth again.
MAX_DENOMINATOR = 1000


class _InvalidEntry(Exception):
    """An invalid line of the file: its key, and why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def read(file: Path, course: Sequence[Exercise]) -> dict[str, Fraction]:
    """Points by task number (7.1). Raises KitError, which names the line."""
    try:
        text = text_of(file)
        document = tomllib.loads(text)
    except OSError as error:
        raise disk_error(f"{shown(file)} cannot be read", error, file.parent) from None
    except UnicodeDecodeError:
        raise KitError(f"{shown(file)} is not text in UTF-8", _how_to_fix(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise KitError(f"{shown(file)} is not TOML: {error}", _how_to_fix(file)) from None
    try:
        return _points_by_task(document, course)
    except _InvalidEntry as invalid:
        location = f"{shown(file)}, line {_line_number(text, invalid.key)}"
        raise KitError(f"{location}: {invalid}", _how_to_fix(file)) from None


def _points_by_task(document: dict[str, Any], course: Sequence[Exercise]) -> dict[str, Fraction]:
    for key in document:
        if key != "points":
            raise _InvalidEntry(
                key, f"{key!r} stands outside of the table [points]: that line comes first"
            )
    table = document.get("points")
    if not isinstance(table, dict):
        raise _InvalidEntry("points", 'a table [points] is wanted, with lines such as "07.1" = 2')
    own: dict[str, Fraction] = {}
    shared: dict[int, Fraction] = {}
    for key, value in _keys_and_values(table):
        exercise, number = _exercise_and_task(key, course)
        if number in own or (not number and exercise.number in shared):
            raise _InvalidEntry(key, f"{key} has its points already, on another line")
        if number:
            own[number] = _parsed_points(key, value)
        else:
            shared[exercise.number] = _parsed_points(key, value)
    return {
        number: points
        for exercise in course
        for number, points in _points_of_tasks(exercise, own, shared.get(exercise.number)).items()
    }


def _points_of_tasks(
    exercise: Exercise, own: dict[str, Fraction], shared: Fraction | None
) -> dict[str, Fraction]:
    """The points of an exercise's tasks, by number.

    `own` are those of tasks with a line of their own, `shared` those of the whole exercise.
    """
    numbers = [task.number for task in exercise.tasks]
    given = {number: own[number] for number in numbers if number in own}
    others = [number for number in numbers if number not in own]
    if shared is None:
        return given | dict.fromkeys(others, Fraction(1))
    left = shared - sum(given.values())
    if left < 0 or (left and not others):
        key = f"{exercise.number:02}"
        total = float(sum(given.values()))
        raise _InvalidEntry(
            key, f"{key} gives {float(shared):g}, but its tasks alone give {total:g}"
        )
    return given | {number: left / len(others) for number in others}


def _keys_and_values(table: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Keys and values. Without quotes, TOML reads 07.1 as the key 1 of a table 07."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", each) for inner, each in value.items())
        else:
            yield key, value


def _exercise_and_task(key: str, course: Sequence[Exercise]) -> tuple[Exercise, str]:
    """The exercise, and the number of the task; empty if the key is the whole exercise."""
    found = re.fullmatch(r"(\d{1,2})(?:\.(\d{1,2}))?", key)
    number = int(found[1]) if found else 0
    exercise = next((each for each in course if each.number == number), None)
    if found is None or exercise is None:
        numbers = f"{course[0].number:02} to {course[-1].number:02}"
        raise _InvalidEntry(key, f"there is no exercise or task {key!r}; exercises are {numbers}")
    if found[2] is None:
        return exercise, ""
    task = f"{number}.{int(found[2])}"
    tasks = [each.number for each in exercise.tasks]
    if task not in tasks:
        raise _InvalidEntry(
            key, f"there is no task {key!r}; exercise {number:02} has {', '.join(tasks)}"
        )
    return exercise, task


def _parsed_points(key: str, value: Any) -> Fraction:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= 1_000_000:
        raise _InvalidEntry(key, f"{key} = {value!r}: points are a number from 0 on")
    return Fraction(value).limit_denominator(MAX_DENOMINATOR)


def _line_number(text: str, key: str) -> int:
    """The number of the line with this key, from 1 on; 1 when there is no such line."""
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


def _how_to_fix(file: Path) -> str:
    return f"edit {shown(file)}; templates/points.toml is one to copy"
