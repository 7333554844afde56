"""`dev`: for authors of exercises. `dev diff N` shows how one exercise leads to the next."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from kit.authoring.twins import Files, Twins, solution_before, twins, unified
from kit.course.catalogue import find
from kit.workspace import shown

dev = typer.Typer(help="For authors of exercises.\n\nExample: ./workshop dev diff 07")

# The first that a line begins with gives its colour.
COLOURS = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}


@dev.callback()
def _dev() -> None:
    """Keep `diff` a word of its own, even while it is the only one."""


@dev.command("diff")
def diff(
    n: Annotated[str, typer.Argument(metavar="N", help="Exercise: its number or its name.")],
) -> None:
    """Show the solution of N-1, the starter of N and the solution of N, as two diffs.

    Exit code 1 when the trees break a rule; what is broken is said at the end.

    Example: ./workshop dev diff 07
    """
    exercise = find(n)
    trees = twins(exercise)
    before = solution_before(exercise)
    console = Console(soft_wrap=True, highlight=False)
    was = shown(before) if before else "nothing"
    starter, solution = shown(exercise.starter), shown(exercise.solution)
    _show(console, f"{was} → {starter}", trees.before, trees.starter)
    _show(console, f"{starter} → {solution}", trees.starter, trees.solution)
    raise typer.Exit(_judge(console, trees))


def _show(console: Console, title: str, old: Files, new: Files) -> None:
    console.print(Text(f"=== {title}", style="bold"))
    lines = [line for part in _diffs(old, new) for line in part.splitlines()]
    for line in lines or ["no difference"]:
        style = next((COLOURS[start] for start in COLOURS if line.startswith(start)), "")
        console.print(Text(line, style=style))
    console.print()


def _diffs(old: Files, new: Files) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        old_name = name if name in old else "/dev/null"
        new_name = name if name in new else "/dev/null"
        # A file with no lines has no diff of its own, and still comes or goes.
        if diff := unified(old.get(name, ""), new.get(name, ""), old_name, new_name):
            yield diff
        elif (name in old) != (name in new):
            yield f"--- {old_name}\n+++ {new_name}"


def _judge(console: Console, trees: Twins) -> int:
    """Say what is broken; the exit code."""
    breaks = trees.breaks()
    for broken in breaks:
        console.print(Text(f"{broken}\n"))
    console.print("The trees break a rule: see above." if breaks else "The trees keep the rules.")
    return 1 if breaks else 0
