"""How far the grading of a class is: a bar on a terminal, and a line as each is done anywhere."""

import os
import sys
from collections.abc import Sequence
from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from kit.classroom.results import LearnerResult
from kit.classroom.schedule import Step
from kit.course.catalogue import Exercise
from kit.grading.verdict import Verdict
from kit.terminal.screen import mark


class Bar:
    """Shows steps as they come. Many learners get a line each, one alone a line an exercise.

    `wanted` are the exercises asked for by name, if any were: who has not handed one in is told so.
    """

    def __init__(self, learners: int, wanted: Sequence[Exercise] = ()) -> None:
        self._learners = learners
        self._wanted = wanted
        self._to_grade: dict[str, int] = {}  # exercises, of those whose work has been looked at
        self._graded = 0
        self._over = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            transient=True,
            redirect_stdout=False,  # what takes its place does not know what can be printed
            disable=not sys.stdout.isatty() or os.environ.get("TERM") == "dumb",
        )
        self._task = self._progress.add_task(f"0 of {learners} learners", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, step: Step) -> None:
        """Tell of a step."""
        name = step.learner.name
        self._to_grade.setdefault(name, step.left)
        self._graded += step.verdict is not None
        self._over += step.over
        self._progress.update(
            self._task,
            description=f"{self._over} of {self._learners} learners",
            completed=self._graded,
            total=self._total(),
        )
        if self._learners == 1 and step.verdict is not None:
            self._say(_exercise(step.verdict))
        elif step.over:
            done = {verdict.exercise for verdict in step.learner.verdicts}
            missing = [f"{each.number:02}" for each in self._wanted if each.slug not in done]
            self._say(_learner(step.learner, missing, graded=self._to_grade[name]))

    def _say(self, line: str) -> None:
        if self._progress.disable:
            print(line, flush=True)
        else:
            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)

    def _total(self) -> float:
        """How many exercises there will be to grade, as if who comes yet were like the others."""
        known = sum(self._to_grade.values())
        return known * self._learners / len(self._to_grade)


def _exercise(verdict: Verdict) -> str:
    if verdict.problem:
        return f"{mark(False)} {verdict.exercise}: could not be graded"
    done = sum(task.passed for task in verdict.tasks)
    result = "passed" if verdict.passed else f"{done} of {len(verdict.tasks)} tasks passed"
    return f"{mark(verdict.passed)} {verdict.exercise}: {result}, {verdict.seconds:.1f} s"


def _learner(learner: LearnerResult, missing: Sequence[str], graded: int) -> str:
    start = f"{mark(learner.passed and not missing)} {learner.name}: "
    if learner.problem:
        return start + learner.problem
    done = sum(verdict.passed for verdict in learner.verdicts)
    parts = [f"{done} of {len(learner.verdicts) + len(missing)} exercises passed"]
    if missing:
        parts.append(f"not handed in: {', '.join(missing)}")
    if broken := [verdict.exercise for verdict in learner.verdicts if verdict.problem]:
        parts.append(f"not graded: {', '.join(broken)}")
    if missed := _missed(learner):
        parts.append(f"not {', '.join(missed)}")
    if not graded and learner.verdicts:
        parts.append("unchanged")
    return start + "; ".join(parts)


def _missed(learner: LearnerResult) -> list[str]:
    """The first task of each exercise that is not passed."""
    failures = [verdict.first_failure for verdict in learner.verdicts if not verdict.problem]
    return [failure.number for failure in failures if failure is not None]
