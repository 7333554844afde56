"""What each task demands: each requirement has a test that decides it, and a known wrong answer."""

import pytest

from kit.authoring.missing import requirements
from kit.course.catalogue import Exercise, load

# The numbers of the exercises whose requirements are not written down yet, one a line. The list is
# to become empty, and to go.
NOT_WRITTEN_YET = (12,)
COURSE = load()


@pytest.mark.parametrize(
    "exercise",
    [exercise for exercise in COURSE if exercise.number not in NOT_WRITTEN_YET],
    ids=lambda exercise: exercise.slug,
)
def test_each_requirement_has_a_test_and_a_wrong_answer(exercise: Exercise) -> None:
    items = list(requirements(exercise))
    assert not items, "\n".join(["", *map(str, items)])


@pytest.mark.parametrize("number", NOT_WRITTEN_YET)
def test_an_exercise_leaves_the_list_once_it_has_requirements(number: int) -> None:
    exercise = next(each for each in COURSE if each.number == number)
    assert not any(task.requirements for task in exercise.tasks)
