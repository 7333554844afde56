"""Where the learner stands, as data for the pages of the handbook."""

from collections.abc import Sequence
from typing import TypedDict

from kit.checking import latest
from kit.checking.as_html import described
from kit.checking.latest import Latest
from kit.checking.report import placed
from kit.checking.wording import LOOK_AT, SEEN, entries
from kit.course import progress
from kit.course.catalogue import Exercise, Task
from kit.course.progress import Progress, Record
from kit.course.standing import standing
from kit.verdicts.verdict import State, TaskVerdict


class TaskState(TypedDict):
    """One task. `told` is HTML: why it failed, and what was seen. `hints`: how many were shown.

    `state` is empty as long as the task has never been checked.
    """

    number: str
    state: str
    told: str
    hints: int


class ExerciseState(TypedDict):
    """One exercise. `at`: when it was checked last, in seconds since 1970; 0 for never."""

    slug: str
    title: str
    state: progress.State
    current: bool
    checking: bool
    at: float
    tasks: list[TaskState]


Version = tuple[tuple[str, int], ...]


def version() -> Version:
    """Differs when what `state` reads has changed, except for the learner's own files."""
    files = [progress.progress_file(), *sorted(latest.folder().glob("*.json"))]
    return tuple((file.name, file.stat().st_mtime_ns) for file in files if file.is_file())


def state(exercises: Sequence[Exercise]) -> list[ExerciseState]:
    """All exercises, with what is known of their tasks."""
    done = progress.load()
    now = standing(exercises, done)
    return [
        _exercise(each, now.states[each], current=each == now.current, done=done)
        for each in exercises
    ]


def _exercise(
    exercise: Exercise, state: progress.State, *, current: bool, done: Progress
) -> ExerciseState:
    record, kept = done.of(exercise), latest.read(exercise)
    if record.passed is None and not record.failed:
        kept = Latest(decided=kept.decided)  # it has been reset since
    verdicts = {task.number: task for task in kept.verdict.tasks} if kept.verdict else {}
    decided = dict(kept.decided or ())
    tasks = []
    for task in exercise.tasks:
        told = _task(task, verdicts.get(task.number), exercise, record)
        if state == "passed":
            told["state"] = State.PASSED
        if task.number in decided:
            told["state"] = State.PASSED if decided[task.number] else State.FAILED
            told["told"] = "" if decided[task.number] else told["told"]
        tasks.append(told)
    return ExerciseState(
        slug=exercise.slug,
        title=exercise.title,
        state=state,
        current=current,
        checking=kept.decided is not None,
        at=kept.at,
        tasks=tasks,
    )


def _task(task: Task, verdict: TaskVerdict | None, exercise: Exercise, record: Record) -> TaskState:
    shown = record.hints.get(task.number, 0)
    told = TaskState(number=task.number, state="", told="", hints=shown)
    if verdict is None:
        return told
    told["state"] = verdict.state
    hint = ""
    if shown and verdict.failure is not None:  # as `./workshop hint` does
        test = verdict.failure.test
        hint = next((each.hint for each in task.requirements if test in each.tests), "")
    labelled = entries(verdict, hint) if verdict.state is State.FAILED else []
    labelled += [(SEEN, note) for note in verdict.notes]
    if labelled:
        told["told"] = described(
            [
                (label, placed(text, exercise.work, beside=label == LOOK_AT))
                for label, text in labelled
            ]
        )
    return told
