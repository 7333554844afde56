"""Known answers, wrong and right ones, graded ahead of the tests that look at their verdicts."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from kit.authoring.answers import Answer
from kit.checking.trial import copy_project, of_answer, stops_early
from kit.course.catalogue import Exercise, load
from kit.verdicts.verdict import Verdict
from tests.support.grading_pool import TIMEOUT, grading_pool, submit

SLOW_TO_GRADE = 4  # from this exercise on, a grader tries schedules, or starts workers
Verdicts = dict[str, "Future[Verdict]"]  # by the answer's id


def exercises() -> dict[str, Exercise]:
    return {exercise.slug: exercise for exercise in load()}


def parameters(answers: Sequence[Answer]) -> list[Any]:
    """The answers, for `parametrize`. Those that are slow to grade are for `make thorough`."""
    course = exercises()
    return [
        pytest.param(
            answer,
            id=answer.id,
            marks=[pytest.mark.thorough] * (course[answer.slug].number >= SLOW_TO_GRADE),
        )
        for answer in answers
    ]


@contextmanager
def graded(
    answers: Sequence[Answer],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Verdicts]:
    """The verdict on each answer whose test is to run. They are graded ahead, in that order."""
    course = exercises()
    chosen = {item.name.partition("[")[2].removesuffix("]") for item in request.session.items}
    found: Verdicts = {}
    with grading_pool() as pool:
        for answer in answers:
            if answer.id not in chosen:
                continue
            exercise = course[answer.slug]
            project = copy_project(exercise.solution, tmp_path_factory.mktemp("answer"))
            try:
                answer.make(project)
            except ValueError as error:
                found[answer.id] = Future()
                found[answer.id].set_exception(error)
            else:
                early = stops_early(answer)
                found[answer.id] = submit(pool, exercise, project, stop_early=early)
        yield found


def require_right_verdict(answer: Answer, verdicts: Verdicts) -> None:
    """The verdict on a known answer is as its list says."""
    verdict = verdicts[answer.id].result(TIMEOUT)
    complaints = of_answer(exercises()[answer.slug], answer, verdict)
    assert not complaints, "\n".join(map(str, complaints))
