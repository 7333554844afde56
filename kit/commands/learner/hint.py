"""`hint`: a nudge, then a pointer, then nearly the answer: one more with each call."""

import textwrap
from typing import Annotated

import typer

from kit.checking.report import go_to
from kit.course import catalogue, progress
from kit.course.catalogue import Exercise, Task
from kit.errors import KitError
from kit.terminal.screen import fitted, paint


def hint(
    n: Annotated[
        str | None, typer.Argument(metavar="N | N.M", help="Exercise or task. Default: yours.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All hints of that task.")] = False,
) -> None:
    """Show one more hint for the task that failed last.

    Example: ./workshop hint 7.2
    """
    exercises = catalogue.load()
    exercise, task = find_task(exercises, n)
    if task is None:
        print(f"{exercise.number:02} {exercise.title} is passed: there is nothing to hint at.")
        print(f"Still curious? ./workshop hint {exercise.tasks[0].number} is for its first task.")
        current = progress.load().current(exercises)
        if current is not None and current != exercise:
            print(go_to(current))
        return
    for line in next_hints(exercise, task, everything=everything):
        print(line)


def next_hints(exercise: Exercise, task: Task, *, everything: bool = False) -> list[str]:
    """The lines to print, and a note of what has been shown."""
    total = len(task.hints)
    with progress.changing() as done:
        hints = done.of(exercise).hints
        seen = hints.get(task.number, 0)
        hints[task.number] = total if everything else min(total, seen + 1)
    lines = [paint(f"{task.number}  {task.title}", "strong")]
    again = seen >= total and not everything
    if again:
        lines += ["", f"You have seen {_all(total)}. Once more:"]
    first = 0 if everything or again else seen
    last = total if everything or again else seen + 1
    for i in range(first, last):
        lines += ["", paint(f"hint {i + 1} of {total}", "faint")]
        text = textwrap.indent(textwrap.dedent(task.hints[i]).strip("\n"), "  ")
        lines += [fitted(line, 2) for line in text.splitlines()]
    n = f"{exercise.number:02}"
    lines += ["", f"Then: ./workshop check {n}"]
    if last < total:
        lines.append(f"Not enough? ./workshop hint {task.number}")
    else:
        lines.append(f"Not enough? ./workshop solution {n}")
    return lines


def find_task(exercises: list[Exercise], name: str | None) -> tuple[Exercise, Task | None]:
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


def _all(total: int) -> str:
    return "the one hint there is" if total == 1 else f"all {total} hints"
