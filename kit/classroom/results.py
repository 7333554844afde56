"""The result of grading a class."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from kit.course.catalogue import Exercise, Task
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.verdict import Problem, State, TaskVerdict, Verdict, all_tasks


@dataclass
class LearnerResult:
    """The result of one learner's submission.

    `problem` says why the submission cannot be read. `notes` are observations that change no
    verdict, such as a link that was not copied. When the grading is finished, each exercise has a
    verdict.

    `cache_keys` hold, by slug, a hash of what the verdict depends on (see schedule.py). While it is
    the same, `--resume` reuses the verdict. `unfinished`: this grading has not yet finished the
    learner, and the verdicts may be those of a previous grading.
    """

    name: str
    verdicts: list[Verdict] = field(default_factory=list)
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    cache_keys: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False

    def passed(self, exercises: Iterable[Exercise]) -> bool:
        """Whether all tasks of these exercises are passed."""
        return not self.problem and all(self.verdict_on(each).passed for each in exercises)

    def handed_in(self, exercise: Exercise) -> bool:
        """Whether the grading has a verdict on the exercise."""
        return any(verdict.exercise == exercise.slug for verdict in self.verdicts)

    def verdict_on(self, exercise: Exercise) -> Verdict:
        """The verdict on an exercise; without one, a verdict of tasks that were not handed in."""
        for verdict in self.verdicts:
            if verdict.exercise == exercise.slug:
                return verdict
        unread = Failure(FailureCode.NOT_READABLE, detail=self.problem) if self.problem else None
        return all_tasks(exercise, State.NOT_HANDED_IN, unread)

    def tasks(self, exercises: Iterable[Exercise]) -> list[TaskVerdict]:
        """The verdicts on all tasks of these exercises."""
        return [task for exercise in exercises for task in self.verdict_on(exercise).tasks]


@dataclass
class ClassResult:
    """The result of a class.

    `protection` is a sentence about the sandbox, and `confined` says whether the sandbox protects
    fully. `points` are those of each task, by its number; a task that is not in it gives 1.
    `started_at` is a time in ISO 8601, and `seconds` the duration of the grading. `finished` is
    false while a learner is still to be graded.
    """

    exercises: list[Exercise]
    learners: list[LearnerResult]
    protection: str
    confined: bool = True
    points: dict[str, Fraction] = field(default_factory=dict)
    started_at: str = ""
    seconds: float = 0.0
    finished: bool = True

    @property
    def passed(self) -> bool:
        return all(learner.passed(self.exercises) for learner in self.learners)

    @property
    def tasks(self) -> list[tuple[Exercise, Task]]:
        """All tasks, in order."""
        return [(exercise, task) for exercise in self.exercises for task in exercise.tasks]

    @property
    def max_points(self) -> Fraction:
        """The points of all tasks together."""
        return sum((self.points_for(task.number) for _, task in self.tasks), Fraction())

    def problems(self) -> dict[Problem, list[str]]:
        """Why verdicts are missing: for each reason, the exercises and learners it concerns."""
        problems: dict[Problem, list[str]] = {}
        for learner in self.learners:
            for verdict in learner.verdicts:
                if verdict.problem is not None:
                    where = f"{verdict.exercise} of {learner.name}"
                    problems.setdefault(verdict.problem, []).append(where)
        return problems

    def points_for(self, number: str) -> Fraction:
        """The points of a task."""
        return self.points.get(number, Fraction(1))

    def earned(self, learner: LearnerResult) -> Fraction:
        """The points of the tasks that a learner has passed."""
        done = [task for task in learner.tasks(self.exercises) if task.passed]
        return sum((self.points_for(task.number) for task in done), Fraction())


def format_points(points: Fraction) -> str:
    """Points for people, with at most two decimals: 2, 2.5, 1.67."""
    return f"{float(points):.2f}".rstrip("0").rstrip(".")
