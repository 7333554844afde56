"""`hint`: what the task demands, then a nudge, a pointer, nearly the answer: one a call."""

import textwrap
from typing import Annotated

import typer

from kit.commands.learner.next_steps import go_to
from kit.course import catalogue, progress
from kit.course.catalogue import Task
from kit.course.hints import ShownHints, find_task, show_hints
from kit.terminal.screen import fitted, paint, wrapped


def hint(
    n: Annotated[
        str | None, typer.Argument(metavar="N | N.M", help="Exercise or task. Default: yours.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All hints of that task.")] = False,
) -> None:
    """Show what a task demands, and one more hint for it. By default, the one that failed last.

    Example: ./workshop hint 7.2
    """
    exercises = catalogue.load()
    exercise, task = find_task(exercises, n)
    if task is None:
        first = exercise.tasks[0].number
        passed = f"{exercise.number:02} {exercise.title} is passed: there is nothing to hint at."
        print(wrapped(f"{passed}\nStill curious? ./workshop hint {first} is for its first task."))
        current = progress.load().current(exercises)
        if current is not None and current != exercise:
            print(wrapped(go_to(current)))
        return
    hints = show_hints(exercise, task, everything=everything)
    n = f"{exercise.number:02}"
    print("\n".join(hint_lines(hints)))
    print(f"\nThen: ./workshop check {n}")
    print(f"Not enough? ./workshop {f'hint {task.number}' if hints.more else f'solution {n}'}")


def hint_lines(hints: ShownHints) -> list[str]:
    """The hints as they are read, below the task's title."""
    task, total = hints.task, len(hints.task.hints)
    lines = [paint(f"{task.number}  {task.title}", "strong"), *_demanded(task)]
    for requirement in hints.failed:
        if requirement.hint:
            lines += ["", paint("what failed last", "faint"), fitted(f"  {requirement.hint}", 2)]
    if hints.again:
        lines += ["", f"You have seen {_all(total)}. Once more:"]
    for i in range(hints.first, hints.last):
        lines += ["", paint(f"hint {i + 1} of {total}", "faint")]
        text = textwrap.indent(textwrap.dedent(task.hints[i]).strip("\n"), "  ")
        lines += [fitted(line, 2) for line in text.splitlines()]
    return lines


def _demanded(task: Task) -> list[str]:
    """What the task demands, an item each; nothing when that is not written down."""
    if not task.requirements:
        return []
    items = [fitted(f"  - {requirement.text}", 4) for requirement in task.requirements]
    return ["", paint("what is demanded", "faint"), *items]


def _all(total: int) -> str:
    return "the one hint there is" if total == 1 else f"all {total} hints"
