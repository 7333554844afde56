"""Tests of the graders: known right answers, each of which must pass.

tests/right_answers/NN-slug.toml lists them as small edits of the solution.
"""

from collections.abc import Iterator
from functools import cache

import pytest

from kit.authoring.answers import Answer, read
from kit.workspace import workspace
from tests.support.known_answers import (
    Verdicts,
    exercises,
    graded,
    parameters,
    require_right_verdict,
)

pytestmark = [pytest.mark.slow, pytest.mark.longest]


@cache
def answers() -> list[Answer]:
    """All right answers, in the order of the course."""
    files = sorted(workspace().right_answers.glob("*.toml"))
    return [answer for file in files for answer in read(file)]


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Verdicts]:
    with graded(answers(), request, tmp_path_factory) as found:
        yield found


@pytest.mark.parametrize("answer", parameters(answers()))
def test_a_right_answer_passes(answer: Answer, verdicts: Verdicts) -> None:
    require_right_verdict(answer, verdicts)


def test_every_answer_is_of_an_exercise() -> None:
    assert {answer.slug for answer in answers()} <= set(exercises())
