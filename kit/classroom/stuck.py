"""Where a class is stuck: the tasks that most learners have not passed, and their failures."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from kit.classroom.results import ClassResult
from kit.course.catalogue import Exercise, Task
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.verdict import State


@dataclass(frozen=True)
class TaskStatistics:
    """One task, over the whole class.

    `failed` counts the learners who handed the exercise in and have not passed the task,
    `not_handed_in` the others without a pass. `failure` is an example of the most frequent failure;
    the `learners` have the same one, though their submissions may have answered differently.
    """

    exercise: Exercise
    task: Task
    passed: int
    failed: int
    not_handed_in: int
    failure: Failure | None
    learners: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many learners there are."""
        return self.passed + self.failed + self.not_handed_in


def by_task(result: ClassResult) -> list[TaskStatistics]:
    """The statistics of each task, in the order of the course."""
    return [
        _statistics(result, exercise, index)
        for exercise in result.exercises
        for index in range(len(exercise.tasks))
    ]


def hardest_first(result: ClassResult) -> list[TaskStatistics]:
    """The tasks that at least one learner failed; first those that most learners failed."""
    tasks = [each for each in by_task(result) if each.failed]
    return sorted(tasks, key=lambda each: -each.failed)  # stable: of equals the earlier first


def _statistics(result: ClassResult, exercise: Exercise, index: int) -> TaskStatistics:
    """Of the task at `index` in the exercise."""
    states: Counter[State] = Counter()
    groups: dict[tuple[FailureCode, str], list[tuple[Failure, str]]] = defaultdict(list)
    for learner in result.learners:
        verdict = learner.verdict_on(exercise)
        task = verdict.tasks[index]
        state = verdict.state(task)
        states[state] += 1
        if state is State.FAILED and task.failure is not None:
            groups[_group_key(task.failure)].append((task.failure, learner.name))
    largest = max(groups.values(), key=len, default=[])
    most_common = Counter(failure for failure, _ in largest).most_common(1)
    return TaskStatistics(
        exercise,
        exercise.tasks[index],
        passed=states[State.PASSED],
        failed=states[State.FAILED] + states[State.NOT_REACHED],
        not_handed_in=states[State.NOT_HANDED_IN] + states[State.NOT_CHECKED],
        failure=most_common[0][0] if most_common else None,
        learners=tuple(name for _, name in largest),
    )


def _group_key(failure: Failure) -> tuple[FailureCode, str]:
    """Equal for failures of the same expectation, whatever the submission answered."""
    return failure.code, failure.expected
