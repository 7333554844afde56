"""Starters fail, in words that a newcomer can act on. (That solutions pass: tests/graders.)"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from kit.checking.wording import task_text
from kit.course.catalogue import Exercise, load
from kit.grading.failure import FailureCode
from kit.grading.verdict import State, Verdict
from tests.support.grading_pool import PATIENCE, copy_project, grade_in, lanes

pytestmark = pytest.mark.slow

COURSE = load()


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[dict[str, Future[Verdict]]]":
    """What came of each starter whose test is to run, all tasks of it."""
    chosen = {item.name for item in request.session.items}
    with lanes() as pool:
        yield {
            exercise.slug: grade_in(
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
    verdict = verdicts[exercise.slug].result(PATIENCE)
    assert not verdict.problem, f"the grader could not cope:\n{verdict.problem}"
    assert [task.number for task in verdict.tasks if task.passed] == []
    first = verdict.tasks[0]
    assert first.number == f"{exercise.number}.1"
    failure = first.failure
    assert failure, first
    assert failure.code is FailureCode.WRONG
    assert failure.did and failure.expected and failure.got and failure.where, failure
    for task in verdict.tasks:
        assert task.state is not State.PASSED
        assert "Traceback" not in task_text(task), task
        # The grader's own time is up: a learner would wait as long for nothing.
        assert task.failure is None or task.failure.code is not FailureCode.TIME_LIMIT, task
