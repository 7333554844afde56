"""Hints: which task needs one, and which hints the learner has seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from kit.course import catalogue, progress
from kit.course.catalogue import Exercise, Requirement, Task
from kit.errors import KitError


@dataclass(frozen=True)
class ShownHints:
    """Hints to show now: those from `first` to before `last` of the task's, counted from 0.

    `again`: the learner has seen all of them before. `failed`: what the last check failed on.
    """

    task: Task
    first: int
    last: int
    again: bool = False
    failed: tuple[Requirement, ...] = ()

    @property
    def more(self) -> bool:
        """Whether there are hints that the learner has not seen yet."""
        return self.last < len(self.task.hints)


def show_hints(exercise: Exercise, task: Task, *, everything: bool = False) -> ShownHints:
    """The next hint, or all of them; noted in the learner's progress."""
    total = len(task.hints)
    with progress.changing() as done:
        counts = done.of(exercise).hints
        failed_test = done.of(exercise).failed_test
        seen = counts.get(task.number, 0)
        counts[task.number] = total if everything else min(total, seen + 1)
    failed = tuple(each for each in task.requirements if failed_test in each.tests)
    if everything:
        return ShownHints(task, 0, total, failed=failed)
    if seen >= total:
        return ShownHints(task, 0, total, again=True, failed=failed)
    return ShownHints(task, seen, seen + 1, failed=failed)


def find_task(exercises: Sequence[Exercise], name: str | None) -> tuple[Exercise, Task | None]:
    """The task that `hint [N | N.M]` means; None when the exercise is passed. Raises KitError."""
    done = progress.load()
    if name and "." in name:
        exercise = catalogue.find(name.partition(".")[0], exercises)
        number = f"{exercise.number}.{name.partition('.')[2]}"
        for task in exercise.tasks:
            if task.number == number:
                return exercise, task
        there = ", ".join(task.number for task in exercise.tasks)
        raise KitError(
            f"there is no task {number}; exercise {exercise.number:02} has {there}",
            f"./workshop hint {exercise.tasks[0].number}",
        )
    exercise = catalogue.find(name, exercises) if name else done.here(exercises)
    if done.state(exercise) == "passed":
        return exercise, None
    failed = done.of(exercise).failed
    return exercise, next((t for t in exercise.tasks if t.number == failed), exercise.tasks[0])
