"""What came of grading a class."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from kit.course.catalogue import Exercise, Task
from kit.grading.failure import Failure, FailureCode
from kit.grading.verdict import State, TaskVerdict, Verdict, all_tasks


@dataclass
class LearnerResult:
    """What came of one learner's work.

    `problem` says why the work could not be read at all. `notes` are worth knowing, and change no
    verdict: a link that was not followed, say. In the end each exercise asked for has a verdict.
    `keys` say of what, by slug, a verdict is (see schedule.py): it holds as long as they are the
    same. `unfinished`: this grading has not got to the end of it; some of it may be an earlier
    grading's.
    """

    name: str
    verdicts: list[Verdict] = field(default_factory=list)
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False

    @property
    def passed(self) -> bool:
        return not self.problem and all(verdict.passed for verdict in self.verdicts)

    def handed_in(self, exercise: Exercise) -> bool:
        """Whether there was something to grade."""
        return any(verdict.exercise == exercise.slug for verdict in self.verdicts)

    def verdict_on(self, exercise: Exercise) -> Verdict:
        """The verdict on an exercise; that nothing was handed in, if so."""
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
    """What came of a class. `protection` says how far submissions were kept in check, and
    `confined` whether that is as far as it can be.

    `when` it began, as ISO 8601, and how many `seconds` it took; `finished` unless somebody is
    still to be graded. `points` are what each task gives, by its number: 1 where nothing is said.
    """

    exercises: list[Exercise]
    learners: list[LearnerResult]
    protection: str
    confined: bool = True
    points: dict[str, Fraction] = field(default_factory=dict)
    when: str = ""
    seconds: float = 0.0
    finished: bool = True

    @property
    def passed(self) -> bool:
        return all(learner.passed for learner in self.learners)

    @property
    def tasks(self) -> list[tuple[Exercise, Task]]:
        """All tasks, in order."""
        return [(exercise, task) for exercise in self.exercises for task in exercise.tasks]

    @property
    def possible(self) -> Fraction:
        """The points that there are."""
        return sum((self.points_for(task.number) for _, task in self.tasks), Fraction())

    def points_for(self, number: str) -> Fraction:
        """What a task gives to those who pass it."""
        return self.points.get(number, Fraction(1))

    def earned(self, learner: LearnerResult) -> Fraction:
        """A learner's points."""
        done = [task for task in learner.tasks(self.exercises) if task.passed]
        return sum((self.points_for(task.number) for task in done), Fraction())


def shown_points(points: Fraction) -> str:
    """Points as they are read: 2, 2.5, 1.67."""
    return f"{float(points):.2f}".rstrip("0").rstrip(".")
