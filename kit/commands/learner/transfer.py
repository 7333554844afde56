"""`export` and `import`: work and progress as one file, to go on at another machine."""

from pathlib import Path
from typing import Annotated

import typer

from kit.course import catalogue, transfer
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.workspace import shown


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write.")] = Path(
        "my-workshop.zip"
    ),
) -> None:
    """Write your work and your progress into one file, for another machine.

    Example: ./workshop export my-workshop.zip
    """
    if file.exists():
        raise KitError(f"{shown(file)} is there already", f"./workshop export {file.stem}-2.zip")
    opened = transfer.export_work(file, catalogue.load())
    print(f"{shown(file)} has your progress and your work on {_numbers(opened)}.")
    print(f"On the other machine, in its copy of the kit: ./workshop import {file.name}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` has written.")],
) -> None:
    """Go on with the work and the progress of another machine; yours is kept in work/.kept.

    Example: ./workshop import my-workshop.zip
    """
    imported = transfer.import_work(file, catalogue.load())
    for kept in imported.kept:
        print(f"The work that was here is kept in {shown(kept)}")
    print(f"Here are your progress and your work on {_numbers(imported.exercises)}.")
    print("Next: ./workshop list")


def _numbers(exercises: list[Exercise]) -> str:
    return ", ".join(f"{each.number:02}" for each in exercises) or "no exercise yet"
