"""Tests of the graders: known wrong answers, each of which must fail at the right task.

tests/mistakes/NN-slug.toml lists them as small edits of the solution.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import pytest

from kit.authoring.mistakes import Mistake, read
from kit.checking.trial import copy_project, of_mistake
from kit.course.catalogue import Exercise, load
from kit.grading.verdict import Verdict
from kit.workspace import workspace
from tests.support.grading_pool import TIMEOUT, grading_pool, submit

pytestmark = [pytest.mark.slow, pytest.mark.longest]

FEWEST_IN_ALL = 45


@cache
def mistakes() -> list[Mistake]:
    """All mistakes, in the order of the course."""
    return [
        mistake for file in sorted(workspace().mistakes.glob("*.toml")) for mistake in read(file)
    ]


def exercises() -> dict[str, Exercise]:
    return {exercise.slug: exercise for exercise in load()}


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[dict[str, Future[Verdict]]]":
    """The verdict on each mistake whose test is to run. They are graded ahead, in that order."""
    course = exercises()
    chosen = {item.name.partition("[")[2].removesuffix("]") for item in request.session.items}
    found: dict[str, Future[Verdict]] = {}
    with grading_pool() as pool:
        for mistake in mistakes():
            if mistake.id not in chosen:
                continue
            exercise = course[mistake.slug]
            project = copy_project(exercise.solution, tmp_path_factory.mktemp("mistake"))
            try:
                mistake.make(project)
            except ValueError as error:
                found[mistake.id] = Future()
                found[mistake.id].set_exception(error)
            else:
                found[mistake.id] = submit(pool, exercise, project, stop_early=True)
        yield found


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: mistake.id)
def test_a_mistake_fails_where_it_is_wrong(
    mistake: Mistake, verdicts: "dict[str, Future[Verdict]]"
) -> None:
    verdict = verdicts[mistake.id].result(TIMEOUT)
    complaints = of_mistake(exercises()[mistake.slug], mistake, verdict)
    assert not complaints, "\n".join(map(str, complaints))


def test_every_mistake_is_of_an_exercise() -> None:
    assert {mistake.slug for mistake in mistakes()} <= set(exercises())


def test_there_are_enough_in_all() -> None:
    assert len(mistakes()) >= FEWEST_IN_ALL


def test_an_edit_that_no_longer_fits_the_solution_is_said(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("a = 1\na = 1\n")
    for name, old in (("main.py", "a = 1"), ("main.py", "b"), ("other.py", "a")):
        mistake = Mistake("01-one", "typo", ((name, old, "c"),), "1.1", ("words",), None)
        with pytest.raises(ValueError, match="01-one:typo: "):
            mistake.make(tmp_path)
