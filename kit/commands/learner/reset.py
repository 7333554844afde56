"""`reset` and `catch-up`: a fresh start. What was there before is kept aside."""

import sys
from typing import Annotated

import typer

from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.course.work import put_aside, skip_to, start_afresh
from kit.errors import KitError
from kit.workspace import shown

Choice = Annotated[str, typer.Argument(metavar="N", help="Exercise: its number or its name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ALL = "all"


def reset(
    n: Annotated[str, typer.Argument(metavar="N", help="Exercise: its number or name, or all.")],
    yes: Yes = False,
) -> None:
    """Begin an exercise again: a fresh starter; your work is kept in work/.kept.

    `reset all` begins the whole course again. It asks first when you have passed something.

    Example: ./workshop reset 07
    """
    if n == ALL:
        _reset_all(yes)
    else:
        _begin(catalogue.find(n))


def catch_up(
    n: Choice,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, also when it is passed.")
    ] = False,
) -> None:
    """Go straight to an exercise: a fresh starter that holds all the solutions before it.

    Asks first when you have passed that exercise.

    Example: ./workshop catch-up 07
    """
    exercises = catalogue.load()
    exercise = catalogue.find(n, exercises)
    if progress.load().of(exercise).passed and not (yes or _agrees(exercise)):
        print("Nothing has changed.")
        return
    skipped = skip_to(exercise, exercises)
    _begin(exercise)
    if skipped:
        numbers = ", ".join(f"{each.number:02}" for each in skipped)
        print(f"Skipped: {numbers}. Come back to them when you like.")


def _reset_all(yes: bool) -> None:
    exercises = catalogue.load()
    done = progress.load()
    passed = [f"{each.number:02}" for each in exercises if done.of(each).passed]
    if passed and not (yes or _agrees_to_all(passed)):
        print("Nothing has changed.")
        return
    for kept in put_aside(exercises):
        print(f"Your work is kept in {shown(kept)}")
    print("The course is as it was at first. Next: ./workshop")


def _agrees_to_all(passed: list[str]) -> bool:
    what = f"you have passed {', '.join(passed)}, and would have to pass it again"
    if not sys.stdin.isatty():
        raise KitError(f"{what}; there is no terminal to ask at", "./workshop reset all --yes")
    return typer.confirm(f"{what[0].upper()}{what[1:]}. Begin the whole course again?")


def _agrees(exercise: Exercise) -> bool:
    number = f"{exercise.number:02}"
    if not sys.stdin.isatty():
        raise KitError(
            f"you have passed {number}, and would have to pass a fresh starter again; "
            "there is no terminal to ask at",
            f"./workshop catch-up {number} --yes",
        )
    return typer.confirm(
        f"You have passed {number}, and would have to pass a fresh starter again. Begin it?"
    )


def _begin(exercise: Exercise) -> None:
    passed = progress.load().of(exercise).passed is not None
    kept = start_afresh(exercise)
    if kept is not None:
        print(f"Your work is kept in {shown(kept)}")
    if passed:
        print(f"{exercise.number:02} was passed; now it has to pass again.")
    print(f"{shown(exercise.work)} is fresh: {shown(exercise.work / 'README.md')} says what to do.")
    print(f"Then: ./workshop check {exercise.number:02}")
