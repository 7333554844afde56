"""`solution` and `diff`: our way to do it, beside the learner's."""

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from kit.course import catalogue, progress
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.terminal.screen import paint
from kit.workspace import shown

# What a learner writes. A poetry.lock is written by Poetry, and runs to thousands of lines.
PATTERNS = ("nb_runner/**/*", "pyproject.toml", "poetry.toml")

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


def difference(old: Path, new: Path, old_name: str, new_name: str) -> str:
    """The unified diff between two projects, under the names given."""
    lines: list[str] = []
    for name in _names(old, new):
        names = (f"{old_name}/{name}", f"{new_name}/{name}")
        lines += _diff(old / name, new / name, *names)
    return "".join(lines)


def coloured(text: str) -> str:
    """A unified diff in its colours, if those are welcome."""
    styles = {"+++": "strong", "---": "strong", "@@ ": "ahead", "+": "good", "-": "bad"}
    lines = []
    for line in text.splitlines():
        style = next((style for start, style in styles.items() if line.startswith(start)), "")
        lines.append(paint(line, style) if style else line)
    return "\n".join(lines)


def _show(exercise: Exercise) -> None:
    if not exercise.solution.is_dir():
        raise KitError(f"{shown(exercise.solution)} is missing", "git status")
    mine = exercise.work if exercise.work.is_dir() else exercise.starter
    # Named is always the file to edit, also when it is still to be copied.
    text = difference(mine, exercise.solution, shown(exercise.work), shown(exercise.solution))
    print(coloured(text) if text else f"{shown(exercise.work)} is our solution, to the letter.")


def _choose(n: str | None, done: progress.Progress, *, passed: bool = False) -> Exercise:
    exercises = catalogue.load()
    if n:
        return catalogue.find(n, exercises)
    last = next((each for each in exercises if each.slug == done.last), None)
    # Who has just passed one means that one, though the next is the current one by then.
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


def _names(*folders: Path) -> list[Path]:
    found = {
        file.relative_to(folder)
        for folder in folders
        for pattern in PATTERNS
        for file in folder.glob(pattern)
        if file.is_file() and "__pycache__" not in file.parts
    }
    return sorted(found)


def _diff(old: Path, new: Path, old_name: str, new_name: str) -> Iterator[str]:
    try:
        before, after = _lines(old), _lines(new)
    except UnicodeDecodeError:
        yield f"{old_name} and {new_name}: not text, or not in UTF-8\n"
        return
    names = (old_name if old.exists() else "(new)", new_name if new.exists() else "(gone)")
    for line in difflib.unified_diff(before, after, *names):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
