"""Where the learner stands in the course: computed once, from their progress and their work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.course.catalogue import Exercise, Task
from kit.course.progress import Progress, State


@dataclass(frozen=True)
class Standing:
    """The state of each exercise, and the one to work on; None when all are passed.

    `failed` is the task of the current exercise that failed in its last check, if one did.
    """

    states: Mapping[Exercise, State]
    current: Exercise | None
    failed: Task | None

    def are(self, state: State) -> list[Exercise]:
        """The exercises in that state, in the order of the course."""
        return [exercise for exercise, each in self.states.items() if each == state]


def standing(exercises: Sequence[Exercise], done: Progress) -> Standing:
    """Compare the learner's work with what they have passed."""
    current = done.current(exercises)
    failed = None
    if current is not None:
        number = done.of(current).failed
        failed = next((task for task in current.tasks if task.number == number), None)
    states = {exercise: done.state(exercise) for exercise in exercises}
    return Standing(states, current, failed)
