"""The progress of a grading: a bar on a terminal, and a line for each finished learner."""

import os
import sys
from collections.abc import Sequence
from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from kit.classroom.results import LearnerResult
from kit.classroom.schedule import Step
from kit.course.catalogue import Exercise
from kit.terminal.screen import mark
from kit.verdicts.verdict import Verdict


class ProgressBar:
    """Prints a line for each finished learner; for a single learner, a line for each exercise.

    `requested` are the exercises of --exercises. The line of a learner names those that the learner
    has not handed in. Use it as a context manager.
    """

    def __init__(self, learners: int, requested: Sequence[Exercise] = ()) -> None:
        self._learners = learners
        self._requested = requested
        # For each learner whose submission was copied: how many exercises are graded.
        self._to_grade: dict[str, int] = {}
        self._verdicts = 0
        self._finished_learners = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            transient=True,
            # rich's replacement of stdout would try to print what the terminal cannot encode.
            redirect_stdout=False,
            disable=not sys.stdout.isatty() or os.environ.get("TERM") == "dumb",
        )
        self._task = self._progress.add_task(f"0 of {learners} learners", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, step: Step) -> None:
        """Update the bar, and print a line if the step ends something."""
        name = step.learner.name
        self._to_grade.setdefault(name, step.remaining)
        self._verdicts += step.verdict is not None
        self._finished_learners += step.last
        self._progress.update(
            self._task,
            description=f"{self._finished_learners} of {self._learners} learners",
            completed=self._verdicts,
            total=self._estimated_total(),
        )
        if self._learners == 1 and step.verdict is not None:
            self._print(_exercise_line(step.verdict))
        elif step.last:
            self._print(_learner_line(step.learner, self._requested, graded=self._to_grade[name]))

    def _print(self, line: str) -> None:
        if self._progress.disable:
            print(line, flush=True)
        else:
            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)

    def _estimated_total(self) -> float:
        """How many exercises there will be to grade: the mean so far, times all learners."""
        known = sum(self._to_grade.values())
        return known * self._learners / len(self._to_grade)


def _exercise_line(verdict: Verdict) -> str:
    if verdict.problem:
        return f"{mark(False)} {verdict.exercise}: could not be graded"
    done = sum(task.passed for task in verdict.tasks)
    result = "passed" if verdict.passed else f"{done} of {len(verdict.tasks)} tasks passed"
    return f"{mark(verdict.passed)} {verdict.exercise}: {result}, {verdict.seconds:.1f} s"


def _learner_line(learner: LearnerResult, requested: Sequence[Exercise], graded: int) -> str:
    # Without exercises in the call, `requested` is empty, and what was handed in counts.
    passed = learner.passed(requested) and all(verdict.passed for verdict in learner.verdicts)
    start = f"{mark(passed)} {learner.name}: "
    if learner.problem:
        return start + learner.problem
    missing = [f"{each.number:02}" for each in requested if not learner.handed_in(each)]
    done = sum(verdict.passed for verdict in learner.verdicts)
    parts = [f"{done} of {len(learner.verdicts) + len(missing)} exercises passed"]
    if missing:
        parts.append(f"not handed in: {', '.join(missing)}")
    if broken := [verdict.exercise for verdict in learner.verdicts if verdict.problem]:
        parts.append(f"not graded: {', '.join(broken)}")
    if missed := _failed_tasks(learner):
        parts.append(f"not {', '.join(missed)}")
    if not graded and learner.verdicts:
        parts.append("unchanged")
    return start + "; ".join(parts)


def _failed_tasks(learner: LearnerResult) -> list[str]:
    """The number of the first failed task of each exercise."""
    failures = [verdict.first_failure for verdict in learner.verdicts if not verdict.problem]
    return [failure.number for failure in failures if failure is not None]
