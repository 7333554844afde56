"""Where a class is stuck: the tasks that most learners have not passed, and why."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from kit.classroom.results import ClassResult
from kit.course.catalogue import Exercise, Task
from kit.grading.failure import Failure, FailureCode
from kit.grading.verdict import State


@dataclass(frozen=True)
class Stuck:
    """One task. `failure` is the most frequent one: the learners in `who` have it, or nearly it.

    `failed` counts those who handed something in. The others are `absent`.
    """

    exercise: Exercise
    task: Task
    passed: int
    failed: int
    absent: int
    failure: Failure | None
    who: tuple[str, ...]

    @property
    def of(self) -> int:
        """How many learners there are."""
        return self.passed + self.failed + self.absent


def by_task(result: ClassResult) -> list[Stuck]:
    """Each task, in the order of the course."""
    return [
        _stuck(result, exercise, at) for exercise in result.exercises for at in _places(exercise)
    ]


def hardest_first(result: ClassResult) -> list[Stuck]:
    """The tasks that somebody failed, those that most did first."""
    tasks = [each for each in by_task(result) if each.failed]
    return sorted(tasks, key=lambda each: -each.failed)  # of equals the earlier first


def _places(exercise: Exercise) -> range:
    return range(len(exercise.tasks))


def _stuck(result: ClassResult, exercise: Exercise, at: int) -> Stuck:
    states: Counter[State] = Counter()
    alike: dict[tuple[FailureCode, str], list[tuple[Failure, str]]] = defaultdict(list)
    for learner in result.learners:
        verdict = learner.verdict_on(exercise)
        task = verdict.tasks[at]
        state = verdict.state(task)
        states[state] += 1
        if state is State.FAILED and task.failure is not None:
            alike[_gist(task.failure)].append((task.failure, learner.name))
    most = max(alike.values(), key=len, default=[])
    common = Counter(failure for failure, _ in most).most_common(1)
    return Stuck(
        exercise,
        exercise.tasks[at],
        passed=states[State.PASSED],
        failed=states[State.FAILED] + states[State.NOT_REACHED],
        absent=states[State.NOT_HANDED_IN] + states[State.NOT_CHECKED],
        failure=common[0][0] if common else None,
        who=tuple(name for _, name in most),
    )


def _gist(failure: Failure) -> tuple[FailureCode, str]:
    """What a failure comes down to, whatever came back: what was expected."""
    return failure.code, failure.expected
