"""`dev`: for authors of exercises. A new one, what it still lacks, how one leads to the next."""

import os
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from kit.authoring import new
from kit.authoring.missing import Missing, missing
from kit.authoring.twins import Files, Twins, solution_before, twins, unified
from kit.checking.trial import try_out
from kit.course import catalogue
from kit.course.catalogue import Exercise, find
from kit.terminal.screen import StatusLine
from kit.workspace import shown, workspace

dev = typer.Typer(help="For authors of exercises.\n\nExample: ./workshop dev diff 07")

# The first that a line begins with gives its colour.
COLOURS = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}


@dev.command("new")
def new_(
    n: Annotated[str, typer.Argument(metavar="N", help="Its number: the next one.")],
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="Its name in paths: a-few-words.")],
    title: Annotated[str, typer.Option(help="By default, the slug in words.")] = "",
    minutes: Annotated[int, typer.Option(min=1, max=240, help="How long it takes.")] = 20,
) -> None:
    """Write a new exercise, complete with one task, from a template. Nothing is overwritten.

    It starts from the solution of the exercise before. What is written is said, and what is left
    to edit by hand.

    Example: ./workshop dev new 14 second-look --title "A second look" --minutes 20
    """
    plan = new.plan(n, slug, title, minutes)
    plan.write()
    exercise, number = plan.exercise, f"{plan.exercise.number:02}"
    print(f"Exercise {number} {exercise.title}, from the solution of {plan.before.slug}.\n")
    print("Written:")
    for file in plan.texts:
        print(f"  {shown(file)}")
    print(f"Copied from {shown(plan.before.solution)}:")
    for file in plan.copies:
        print(f"  {shown(file)}")
    print("To edit by hand:")
    print(f"  {shown(workspace().course / 'README.md')}: `dev check` prints the lines to paste")
    print("  a deck in slides/: a slide `now-you`, once the exercise has a track for a room")
    print("\nNext:")
    print(f"  ./workshop dev check {number}  what is missing; also tries out all of it")
    print(f"  ./workshop dev diff {number}   what the starter leaves out")


@dev.command("check")
def check(
    n: Annotated[
        str | None, typer.Argument(metavar="[N]", help="Exercise. Default: all of them.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look at files only: nothing is run.")
    ] = False,
) -> None:
    """List what an exercise still lacks, each item with the file to edit.

    Files first: the rules of the twin trees, hints, tests, chapter, known wrong answers, README.
    Then starter, solution and wrong answers are graded. Exit code 1 when something is missing.

    Example: ./workshop dev check 07 --quick
    """
    exercises = [find(n)] if n else catalogue.load()
    found = {each.slug: missing(each) for each in exercises}
    if not quick:
        _try_out(exercises, found)
    for exercise in exercises:
        _list(exercise, found[exercise.slug], quick)
    if any(found.values()):
        raise typer.Exit(1)


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


def _try_out(exercises: list[Exercise], found: dict[str, list[Missing]]) -> None:
    """Grade what is there, and add what comes of it."""
    line = StatusLine()
    try:
        for exercise, item in try_out(
            exercises,
            at_once=min(2, os.cpu_count() or 1),
            meanwhile=lambda done, of: line.show(f"grading … ({done} of {of} done)"),
        ):
            found[exercise.slug].append(item)
    finally:
        line.clear()


def _list(exercise: Exercise, items: list[Missing], quick: bool) -> None:
    title = f"{exercise.number:02} {exercise.title}"
    if not items:
        so_far = "nothing is missing in its files (not run)" if quick else "nothing is missing"
        print(f"{title}: {so_far}")
        return
    print(f"{title}: {len(items)} missing")
    for item in items:
        print("\n".join(f"  {line}".rstrip() for line in str(item).splitlines()))


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
