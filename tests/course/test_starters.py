"""Starters fail with messages that help a learner. (tests/graders tests that solutions pass.)"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from kit.checking.trial import copy_project, of_starter
from kit.course.catalogue import Exercise, load
from kit.verdicts.verdict import Verdict
from tests.support.grading_pool import TIMEOUT, grading_pool, submit

pytestmark = pytest.mark.slow

COURSE = load()


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[dict[str, Future[Verdict]]]":
    """The verdict on all tasks of each starter whose test is to run."""
    chosen = {item.name for item in request.session.items}
    with grading_pool() as pool:
        yield {
            exercise.slug: submit(
                pool,
                exercise,
                copy_project(exercise.starter, tmp_path_factory.mktemp("starter")),
                stop_early=False,
            )
            for exercise in COURSE
            if any(f"[{exercise.slug}]" in name for name in chosen)
        }


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_a_starter_fails_its_first_task_in_words_and_passes_none(
    exercise: Exercise, verdicts: "dict[str, Future[Verdict]]"
) -> None:
    verdict = verdicts[exercise.slug].result(TIMEOUT)
    complaints = of_starter(exercise, verdict)
    assert not complaints, "\n".join(map(str, complaints))
