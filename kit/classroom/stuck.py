"""Where a class is stuck: the tasks that most have not passed, and what most were told."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from kit.classroom.results import ClassResult
from kit.course.catalogue import Exercise, Task
from kit.grading.verdict import TaskVerdict


@dataclass(frozen=True)
class Stuck:
    """One task. `message` is the most frequent one, which `who` got, or nearly that.

    `failed` tells those who handed something in. The others are `absent`.
    """

    exercise: Exercise
    task: Task
    passed: int
    failed: int
    absent: int
    message: str
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
    states: Counter[str] = Counter()
    told: dict[str, list[tuple[str, str]]] = defaultdict(list)  # by gist: message and learner
    for learner in result.learners:
        task = learner.verdict_on(exercise).tasks[at]
        state = learner.state(exercise, task)
        states[state] += 1
        if state == "failed":  # those who did not get there were told nothing about it
            told[gist(task)].append((task.message, learner.name))
    most = max(told.values(), key=len, default=[])
    message = Counter(text for text, _ in most).most_common(1)
    return Stuck(
        exercise,
        exercise.tasks[at],
        passed=states["passed"],
        failed=states["failed"] + states["waiting"],
        absent=states["missing"] + states["problem"],
        message=message[0][0] if message else "",
        who=tuple(name for _, name in most),
    )


def gist(task: TaskVerdict) -> str:
    """What a message comes down to, whatever came back from each: what was expected."""
    lines = task.message.splitlines() or [""]
    expected = [line for line in lines if line.startswith("Expected  ")]
    return expected[0] if expected else lines[0]
