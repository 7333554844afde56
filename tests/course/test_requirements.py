"""What each task demands: each requirement has a test that decides it, and a known wrong answer."""

import pytest

from kit.authoring.missing import requirements
from kit.course.catalogue import Exercise, load


@pytest.mark.parametrize("exercise", load(), ids=lambda exercise: exercise.slug)
def test_each_requirement_has_a_test_and_a_wrong_answer(exercise: Exercise) -> None:
    assert any(task.requirements for task in exercise.tasks)
    items = list(requirements(exercise))
    assert not items, "\n".join(["", *map(str, items)])
