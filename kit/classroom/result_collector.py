"""Collect the steps of a grading into the result of the class."""

import datetime
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from kit.classroom.intake.sources import Source
from kit.classroom.reports.json_report import PreviousResults
from kit.classroom.results import ClassResult, LearnerResult
from kit.classroom.schedule import Step
from kit.course.catalogue import Exercise
from kit.sandbox.bubblewrap import protection


class ResultCollector:
    """Collects steps as they come. The grading begins when the collector is made.

    The result has the exercises in `requested`; without any, those that were handed in. A learner
    without a step so far has the `previous` result.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        requested: Sequence[Exercise],
        course: Sequence[Exercise],
        points: dict[str, Fraction],
        previous: PreviousResults,
    ) -> None:
        self._requested = requested
        self._course = course
        self._points = points
        self._started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._started = time.monotonic()
        names = [source.name for source in sources]
        self._learners = {
            name: previous.learners.get(name, LearnerResult(name, unfinished=True))
            for name in names
        }

    def add(self, step: Step) -> None:
        """Replace the result of the step's learner."""
        learner = replace(step.learner, unfinished=not step.last)
        self._learners[learner.name] = learner

    def result(self) -> ClassResult:
        """The result so far, without learners of whom nothing is known yet."""
        protected = protection()
        learners = list(self._learners.values())
        return ClassResult(
            exercises=list(self._requested) or self._handed_in(),
            learners=[each for each in learners if each.verdicts or not each.unfinished],
            protection=protected.sentence,
            confined=protected.full,
            points=self._points,
            started_at=self._started_at,
            seconds=time.monotonic() - self._started,
            finished=not any(each.unfinished for each in learners),
        )

    def final_result(self) -> ClassResult:
        """The result after the last step: each learner has a verdict on each exercise."""
        result = self.result()
        for learner in result.learners:
            learner.verdicts = [learner.verdict_on(each) for each in result.exercises]
        return result

    @property
    def graded(self) -> int:
        """How many learners are graded."""
        return sum(not each.unfinished for each in self._learners.values())

    def _handed_in(self) -> list[Exercise]:
        return [
            exercise
            for exercise in self._course
            if any(learner.handed_in(exercise) for learner in self._learners.values())
        ]
