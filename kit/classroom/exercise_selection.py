"""Which exercises `--exercises 02,05-10` selects."""

import re
from collections.abc import Sequence

from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError


def select_exercises(text: str, course: Sequence[Exercise]) -> list[Exercise]:
    """The exercises that `text` names, in the order of the course; none for an empty text.

    A name is a number (7), a range of numbers (5-10), a slug with or without its number, or `all`;
    commas or spaces are between names. Raises KitError for a name of no exercise, and for a range
    that goes backwards.
    """
    selected: set[Exercise] = set()
    for name in filter(None, re.split(r"[,\s]+", text)):
        if name == "all":
            selected.update(course)
        elif limits := re.fullmatch(r"(\d+)-(\d+)", name):
            first, last = (catalogue.find(each, course).number for each in limits.groups())
            if last < first:
                raise KitError(
                    f"--exercises {name}: {last:02} comes before {first:02}",
                    f"./workshop grade PATH --exercises {last:02}-{first:02}",
                )
            selected.update(each for each in course if first <= each.number <= last)
        else:
            selected.add(catalogue.find(name, course))
    return [each for each in course if each in selected]
