"""What `grade --exercises` selects."""

import pytest

from kit.classroom.exercise_selection import select_exercises
from kit.course import catalogue
from kit.errors import KitError


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", []),
        ("02,05-10", [2, 5, 6, 7, 8, 9, 10]),
        ("7", [7]),
        ("10, 02-hello-fastapi,2", [2, 10]),
        ("cancel 12-13", [8, 12, 13]),
        ("all", [each.number for each in catalogue.load()]),
    ],
)
def test_exercises_are_selected_by_number_range_slug_or_all(text: str, numbers: list[int]) -> None:
    assert [each.number for each in select_exercises(text, catalogue.load())] == numbers


def test_a_name_of_no_exercise_is_an_error() -> None:
    for text in ("99", "05-99", "-", "02-hello"):
        with pytest.raises(KitError):
            select_exercises(text, catalogue.load())
