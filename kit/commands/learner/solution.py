"""`solution` and `diff`: our way to do it, beside the learner's."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from kit.authoring.answers import Answer, right_answers_of
from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.course.diff import difference
from kit.course.questions import questions
from kit.errors import KitError
from kit.terminal.screen import coloured_diff, fitted, paint, wrapped
from kit.workspace import shown

Choice = Annotated[
    str | None, typer.Argument(metavar="N", help="Exercise. Default: where you are.")
]


def solution(
    n: Choice = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Show what leads from your work to our solution. Asks first, unless you have passed.

    Example: ./workshop solution 07 --yes
    """
    done = progress.load()
    exercise = _choose(n, done)
    if not (yes or done.of(exercise).passed) and not _agrees(exercise):
        print(f"Good. Perhaps a hint: ./workshop hint {exercise.number:02}")
        return
    if not exercise.work.is_dir():
        print(f"You have not opened {exercise.slug} yet: this leads from the starter to ours.\n")
    _show(exercise)
    if done.of(exercise).passed:
        _look_back(exercise)


def diff(n: Choice = None) -> None:
    """Compare your work with our solution, once you have passed.

    Example: ./workshop diff 07
    """
    done = progress.load()
    exercise = _choose(n, done, passed=True)
    number = f"{exercise.number:02}"
    if not done.of(exercise).passed:
        raise KitError(
            f"you have not passed {number} {exercise.title} yet",
            f"./workshop check {number} (or, if you give up, ./workshop solution {number})",
        )
    if not exercise.work.is_dir():
        raise KitError(f"{shown(exercise.work)} is gone", f"./workshop solution {number}")
    _show(exercise)
    _look_back(exercise)


def _show(exercise: Exercise) -> None:
    if not exercise.solution.is_dir():
        raise KitError(f"{shown(exercise.solution)} is missing", "git status")
    mine = exercise.work if exercise.work.is_dir() else exercise.starter
    # The diff names the file to edit, even if it is still to be copied from the starter.
    text = difference(mine, exercise.solution, shown(exercise.work), shown(exercise.solution))
    print(
        coloured_diff(text) if text else f"{shown(exercise.work)} is our solution, to the letter."
    )


def _look_back(exercise: Exercise) -> None:
    """After a pass: why our solution is as it is, other good ways, and questions."""
    if exercise.reason:
        print(f"\n{paint('why so', 'faint')}\n{wrapped(f'  {exercise.reason}')}")
    for answer in right_answers_of(exercise):
        if answer.reason:
            print(f"\n{paint('another good way', 'faint')}")
            print(wrapped(f"  {answer.name}\n  {answer.reason}"))
            print(coloured_diff(_from_ours(exercise, answer)))
    if asked := questions(exercise):
        print(f"\n{paint('check yourself', 'faint')}")
        print("\n".join(fitted(f"  - {question}", 4) for question in asked))
        print(f"The answers: {shown(exercise.chapter)}, also in `./workshop docs`")


def _from_ours(exercise: Exercise, answer: Answer) -> str:
    """What leads from our solution to another answer."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / exercise.slug
        shutil.copytree(exercise.solution, other)
        answer.make(other)
        return difference(exercise.solution, other, shown(exercise.solution), "another")


def _choose(n: str | None, done: progress.Progress, *, passed: bool = False) -> Exercise:
    exercises = catalogue.load()
    if n:
        return catalogue.find(n, exercises)
    last = next((each for each in exercises if each.slug == done.last), None)
    # After a pass, the learner means the exercise just passed, not the next, which is current.
    if passed and last is not None:
        return last
    return done.here(exercises)


def _agrees(exercise: Exercise) -> bool:
    question = f"You have not passed {exercise.number:02} yet. Show the solution all the same?"
    if not sys.stdin.isatty():
        raise KitError(
            f"you have not passed {exercise.number:02} yet, and there is no terminal to ask at",
            f"./workshop solution {exercise.number:02} --yes",
        )
    return typer.confirm(question)
