"""An exercise tried out: its starter has to fail, its solution to pass, wrong answers to be seen.

Each project is graded in a copy, as a learner's would be.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kit.authoring.answers import Answer, right_answers_of
from kit.authoring.missing import Missing
from kit.authoring.mistakes import Mistake, mistakes_of
from kit.checking.grader_process import Grading, grade_all
from kit.checking.wording import problem_text, task_text
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.verdict import Problem, Verdict

# What running a project leaves in it is no part of it.
LEFTOVERS = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".venv", "dist")


@dataclass(frozen=True)
class Trial:
    """One project to grade, and what is wrong with its verdict.

    `stop_early`: no further than the first task that fails. Of a starter, all have to.
    """

    exercise: Exercise
    folder: Path
    stop_early: bool
    complaints: Callable[[Verdict], list[Missing]]


def try_out(
    exercises: Sequence[Exercise],
    *,
    at_once: int = 1,
    meanwhile: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[tuple[Exercise, Missing]]:
    """Grade what belongs to these exercises; yields what is not as it should be.

    `meanwhile` is called with the number of projects done, and of all.
    """
    with tempfile.TemporaryDirectory(prefix="workshop-trial-") as scratch:
        trials = [trial for each in exercises for trial in _trials(each, Path(scratch) / each.slug)]
        by_folder = {trial.folder: trial for trial in trials}
        done = 0

        def tell(under_way: list[Grading]) -> None:
            meanwhile(done, len(trials))

        for early in (False, True):
            projects = [(each.exercise, each.folder) for each in trials if each.stop_early == early]
            for grading, verdict in grade_all(
                projects,
                GraderOptions.from_env(os.environ),
                at_once=at_once,
                stop_early=early,
                meanwhile=tell,
            ):
                done += 1
                for complaint in by_folder[grading.folder].complaints(verdict):
                    yield grading.exercise, complaint


def of_starter(exercise: Exercise, verdict: Verdict) -> list[Missing]:
    """What is wrong with the verdict on a starter: each task fails, the first one in words."""
    if verdict.problem:
        return [_ungraded(exercise, "the starter", verdict.problem)]
    found = []
    for i, task in enumerate(verdict.tasks):
        failure = task.failure
        if task.passed:
            words = "passes on the starter"
        elif failure and failure.code is FailureCode.TIME_LIMIT:
            words = "takes too long on the starter"
        elif "Traceback" in task_text(task):
            words = "fails on the starter with a traceback"
        elif i == 0 and not (failure and _says_enough(failure)):
            words = "fails without saying what was done, expected, came back, and where to look"
        else:
            continue
        found.append(Missing(exercise.grader, f"task {task.number} {words}", task_text(task)))
    return found


def of_solution(exercise: Exercise, verdict: Verdict) -> list[Missing]:
    """What is wrong with the verdict on a solution: all tasks pass."""
    return _of_right(exercise, exercise.solution, "the solution", verdict)


def of_right_answer(exercise: Exercise, answer: Answer, verdict: Verdict) -> list[Missing]:
    """What is wrong with the verdict on a right answer: all tasks pass."""
    return _of_right(exercise, exercise.right_answers, f"{answer.id}: the right answer", verdict)


def of_mistake(exercise: Exercise, mistake: Mistake, verdict: Verdict) -> list[Missing]:
    """What is wrong with the verdict on a wrong answer: its tasks fail, the first in its words."""
    if verdict.problem:
        return [_ungraded(exercise, mistake.id, verdict.problem)]
    failure = verdict.first_failure
    if failure is None:
        return [Missing(exercise.grader, f"{mistake.id}: the wrong answer passes")]
    if failure.number == mistake.or_task:
        return []
    if failure.number != mistake.tasks[0]:
        words = f"{mistake.id}: task {failure.number} fails first, and not {mistake.tasks[0]}"
        return [Missing(exercise.mistakes, words, task_text(failure))]
    found = [
        Missing(exercise.grader, f"{mistake.id}: the wrong answer passes task {task.number}")
        for task in verdict.tasks
        if task.number in mistake.tasks and task.passed
    ]
    if absent := [word for word in mistake.words if word not in task_text(failure)]:
        words = f"{mistake.id}: the message does not hold {absent}"
        found.append(Missing(exercise.mistakes, words, task_text(failure)))
    tests = _tests_for(exercise, mistake)
    if tests and failure.failure and failure.failure.test not in tests:
        words = f"{mistake.id}: {failure.failure.test} finds it, and its requirement names "
        found.append(Missing(exercise.mistakes, words + " and ".join(sorted(tests))))
    return found


def _tests_for(exercise: Exercise, mistake: Mistake) -> set[str]:
    """The grader's tests that catch it, as the requirements say."""
    requirements = [each for task in exercise.tasks for each in task.requirements]
    return {test for each in requirements if mistake.name in each.mistakes for test in each.tests}


def _trials(exercise: Exercise, scratch: Path) -> Iterator[Trial]:
    """The trials of an exercise, each in a folder called NN-slug, by which graders know it."""
    if not exercise.grader.is_file():
        return  # kit.authoring.missing says that it is missing
    yield Trial(
        exercise,
        copy_project(exercise.starter, scratch / "starter"),
        False,
        lambda verdict: of_starter(exercise, verdict),
    )
    if not exercise.solution.is_dir():
        return
    yield Trial(
        exercise,
        copy_project(exercise.solution, scratch / "solution"),
        True,
        lambda verdict: of_solution(exercise, verdict),
    )
    for i, answer in enumerate([*mistakes_of(exercise), *right_answers_of(exercise)]):
        folder = copy_project(exercise.solution, scratch / f"answer-{i}")
        try:
            answer.make(folder)
        except ValueError:
            continue  # kit.authoring.missing says that it does not fit
        yield Trial(exercise, folder, stops_early(answer), partial(of_answer, exercise, answer))


def of_answer(exercise: Exercise, answer: Answer, verdict: Verdict) -> list[Missing]:
    """What is wrong with the verdict on a known answer, a wrong or a right one."""
    if isinstance(answer, Mistake):
        return of_mistake(exercise, answer, verdict)
    return of_right_answer(exercise, answer, verdict)


def stops_early(answer: Answer) -> bool:
    """Whether the verdict on it needs no more than the first task that fails."""
    return not isinstance(answer, Mistake) or len(answer.tasks) == 1


def _of_right(exercise: Exercise, file: Path, what: str, verdict: Verdict) -> list[Missing]:
    """What is wrong with the verdict on what is right."""
    if verdict.problem:
        return [_ungraded(exercise, what, verdict.problem)]
    return [
        Missing(file, f"{what} fails task {task.number}", task_text(task))
        for task in verdict.tasks
        if not task.passed
    ]


def copy_project(folder: Path, target: Path) -> Path:
    """A copy in `target`, under the same name: the grader reads the number in it."""
    return Path(shutil.copytree(folder, target / folder.name, ignore=LEFTOVERS))


def _ungraded(exercise: Exercise, what: str, problem: Problem) -> Missing:
    return Missing(exercise.grader, f"{what} could not be graded", problem_text(problem))


def _says_enough(failure: Failure) -> bool:
    told = [failure.did, failure.expected, failure.got, failure.where]
    return failure.code is FailureCode.WRONG and all(told)
