"""What is wrong with the verdicts on an author's starter, solution and wrong answers."""

from dataclasses import replace

import pytest

from kit.authoring.answers import Answer
from kit.authoring.mistakes import Mistake
from kit.checking.trial import of_answer, of_mistake, of_solution, of_starter
from kit.course.catalogue import Exercise, Task
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.verdict import ProblemCode as Code
from kit.verdicts.verdict import State, TaskVerdict, Verdict, all_tasks, not_checked

TASKS = tuple(Task(number, "It", ("a", "b", "c")) for number in ("2.1", "2.2"))
EXERCISE = Exercise("02-two", "Two", 5, (), TASKS, {})
FAILURE = Failure(did="curl", expected="200 OK", got="404 Not Found", where="main.py")
FAILED = all_tasks(EXERCISE, State.FAILED, FAILURE)
PASSED = all_tasks(EXERCISE, State.PASSED)
BROKEN = not_checked(EXERCISE, Code.GRADER_ENDED, "the grader ended", "SyntaxError")
MISTAKE = Mistake("02-two", "typo", (), ("2.2",), ("404",), None)


def with_first(failure: Failure | None, state: State = State.FAILED) -> Verdict:
    """All tasks failed, the first one like this."""
    return replace(FAILED, tasks=(TaskVerdict("2.1", "It", state, failure), FAILED.tasks[1]))


def test_a_starter_that_fails_in_words_is_as_it_should_be() -> None:
    assert of_starter(EXERCISE, FAILED) == []


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (with_first(None, State.PASSED), "task 2.1 passes on the starter"),
        (with_first(replace(FAILURE, got="Traceback (most …")), "with a traceback"),
        (with_first(replace(FAILURE, expected="")), "without saying what was done"),
        (with_first(replace(FAILURE, where="")), "without saying what was done"),
        (with_first(Failure(FailureCode.MEMORY_LIMIT, limit=1)), "without saying what was done"),
        (with_first(Failure(FailureCode.TIME_LIMIT, limit=240)), "takes too long on the starter"),
        (BROKEN, "the starter could not be graded"),
    ],
)
def test_a_starter_that_is_not_as_it_should_be(verdict: Verdict, words: str) -> None:
    (item,) = of_starter(EXERCISE, verdict)
    assert words in item.words and item.file == EXERCISE.grader


def test_a_solution_passes() -> None:
    assert of_solution(EXERCISE, PASSED) == []
    (item,) = of_solution(EXERCISE, replace(FAILED, tasks=(*FAILED.tasks[:1], *PASSED.tasks[1:])))
    assert item.file == EXERCISE.solution
    assert item.words == "the solution fails task 2.1" and "404 Not Found" in item.detail
    (item,) = of_solution(EXERCISE, BROKEN)
    assert item.detail == "the grader ended\nSyntaxError"


FIRST_FAILS = replace(PASSED, tasks=(FAILED.tasks[0], PASSED.tasks[1]))
SECOND_FAILS = replace(PASSED, tasks=(PASSED.tasks[0], FAILED.tasks[1]))


def test_a_right_answer_passes() -> None:
    answer = Answer("02-two", "other", ())
    assert of_answer(EXERCISE, answer, PASSED) == []
    (item,) = of_answer(EXERCISE, answer, SECOND_FAILS)
    assert item.file == EXERCISE.right_answers
    assert item.words == "02-two:other: the right answer fails task 2.2"
    assert "could not be graded" in of_answer(EXERCISE, answer, BROKEN)[0].words


@pytest.mark.parametrize(
    ("mistake", "verdict", "words"),
    [
        (MISTAKE, SECOND_FAILS, None),
        (MISTAKE, PASSED, "the wrong answer passes"),
        (MISTAKE, FAILED, "task 2.1 fails first, and not 2.2"),
        (replace(MISTAKE, or_task="2.1"), FAILED, None),
        (replace(MISTAKE, tasks=("2.1", "2.2")), FAILED, None),
        (replace(MISTAKE, tasks=("2.1", "2.2")), FIRST_FAILS, "passes task 2.2"),
        (replace(MISTAKE, words=("404", "no")), SECOND_FAILS, "the message does not hold ['no']"),
        (MISTAKE, BROKEN, "could not be graded"),
    ],
)
def test_a_wrong_answer_fails_where_it_is_wrong(
    mistake: Mistake, verdict: Verdict, words: str | None
) -> None:
    items = of_mistake(EXERCISE, mistake, verdict)
    assert [words in item.words for item in items if words] == [True] * bool(words)
    assert len(items) == bool(words)
