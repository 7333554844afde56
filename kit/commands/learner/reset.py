"""`reset` and `catch-up`: a fresh start. What was there before is kept aside."""

from typing import Annotated

import typer

from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.course.work import skip_to, start_afresh
from kit.workspace import shown

Choice = Annotated[str, typer.Argument(metavar="N", help="Exercise: its number or its name.")]


def reset(n: Choice) -> None:
    """Begin an exercise again: a fresh starter; your work is kept in work/.kept.

    Example: ./workshop reset 07
    """
    _begin(catalogue.find(n))


def catch_up(n: Choice) -> None:
    """Go straight to an exercise: a fresh starter that holds all the solutions before it.

    Example: ./workshop catch-up 07
    """
    exercises = catalogue.load()
    exercise = catalogue.find(n, exercises)
    skipped = skip_to(exercise, exercises)
    _begin(exercise)
    if skipped:
        numbers = ", ".join(f"{each.number:02}" for each in skipped)
        print(f"Skipped: {numbers}. Come back to them when you like.")


def _begin(exercise: Exercise) -> None:
    passed = progress.load().of(exercise).passed is not None
    kept = start_afresh(exercise)
    if kept is not None:
        print(f"Your work is kept in {shown(kept)}")
    if passed:
        print(f"{exercise.number:02} was passed; it is to be passed anew.")
    print(f"{shown(exercise.work)} is fresh: {shown(exercise.work / 'README.md')} says what to do.")
    print(f"Then: ./workshop check {exercise.number:02}")
