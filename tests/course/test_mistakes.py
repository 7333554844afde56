"""Tests of the graders: known wrong answers, each of which must fail at the right task.

tests/mistakes/NN-slug.toml lists them as small edits of the solution.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from kit.authoring.mistakes import Mistake, read
from kit.workspace import workspace
from tests.support.known_answers import (
    Verdicts,
    exercises,
    graded,
    parameters,
    require_right_verdict,
)

pytestmark = [pytest.mark.slow, pytest.mark.longest]

FEWEST_IN_ALL = 45


@cache
def mistakes() -> list[Mistake]:
    """All mistakes, in the order of the course."""
    return [
        mistake for file in sorted(workspace().mistakes.glob("*.toml")) for mistake in read(file)
    ]


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Verdicts]:
    with graded(mistakes(), request, tmp_path_factory) as found:
        yield found


@pytest.mark.parametrize("mistake", parameters(mistakes()))
def test_a_mistake_fails_where_it_is_wrong(mistake: Mistake, verdicts: Verdicts) -> None:
    require_right_verdict(mistake, verdicts)


def test_every_mistake_is_of_an_exercise() -> None:
    assert {mistake.slug for mistake in mistakes()} <= set(exercises())


def test_there_are_enough_in_all() -> None:
    assert len(mistakes()) >= FEWEST_IN_ALL


def test_an_edit_that_no_longer_fits_the_solution_is_said(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("a = 1\na = 1\n")
    for name, old in (("main.py", "a = 1"), ("main.py", "b"), ("other.py", "a")):
        mistake = Mistake("01-one", "typo", ((name, old, "c"),), ("1.1",), ("words",), None)
        with pytest.raises(ValueError, match="01-one:typo: "):
            mistake.make(tmp_path)


def test_an_answer_can_bring_whole_files(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("a = 1\n")
    edits = (("new.py", None, "b = 2\n"), ("new.py", "2", "3"), ("main.py", "1", "4"))
    Mistake("01-one", "typo", edits, ("1.1",), ("words",), None).make(tmp_path)
    assert (tmp_path / "main.py").read_text() == "a = 4\n"
    assert (tmp_path / "new.py").read_text() == "b = 3\n"
