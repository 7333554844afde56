"""`run`: start a runner, and keep it up until Ctrl-C."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kit.commands.learner.check import opened
from kit.course import catalogue, progress
from kit.errors import KitError
from kit.processes.project import Project
from kit.runner import supervisor
from kit.runner.supervisor import Requests
from kit.setup.bootstrap import need_here
from kit.setup.layers import for_database
from kit.terminal.keys import Keys
from kit.workspace import shown, workspace


def run(
    n: Annotated[
        str | None, typer.Argument(metavar="N", help="Exercise: its number or its name.")
    ] = None,
    solution: Annotated[bool, typer.Option("--solution", help="The solution, not yours.")] = False,
    path: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Any folder with an nb_runner in it.")
    ] = None,
    notebook: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The notebook that the runner runs.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    api: Annotated[int, typer.Option(min=1, max=20, help="uvicorn processes.")] = 1,
    workers: Annotated[int, typer.Option(min=0, max=20, help="Celery workers.")] = 1,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="Leave dead processes dead.")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart API and workers after each save.")
    ] = False,
) -> None:
    """Start a runner: Redis, Celery workers and the API. Ctrl-C stops all of it, r restarts it.

    Example: ./workshop run 15 --solution --workers 2
    """
    project = chosen(n, solution=solution, path=path)
    if notebook is not None:  # it may read the flights
        need_here(for_database(os.environ.get("DATABASE_URL", "")))
    from kit.checking.file_watcher import FileWatcher

    keys = Keys()
    with FileWatcher(project.path) as saves, keys.listening():
        code = supervisor.run(
            project,
            Requests(saves, keys, reload=reload),
            notebook=notebook,
            port=port,
            api=api,
            workers=workers,
            restart=not no_restart,
        )
    raise typer.Exit(code)


def chosen(n: str | None, *, solution: bool, path: Path | None, quiet: bool = False) -> Project:
    """The project that `run [N] [--solution] [--path DIR]` means. Raises KitError."""
    if path is not None:
        folder = path.absolute()
    elif n is None:
        folder = _default(solution=solution)
    else:
        exercise = catalogue.find(n)
        folder = exercise.solution if solution else opened(exercise, quiet=quiet)
    if not (folder / "nb_runner" / "main.py").is_file():
        if folder.name.startswith("01-"):
            raise KitError(
                "exercise 01 has nothing to run yet: it makes the project that the others run",
                "./workshop check 01",
            )
        raise KitError(
            f"{shown(folder)} has no nb_runner/main.py, so there is nothing to run",
            f"./workshop run {catalogue.product().number} --solution",
        )
    need_here(_layer(folder))
    return Project(folder)


def _layer(folder: Path) -> str:
    """What the project in a folder needs: an exercise's says so, another may run notebooks."""
    number = catalogue.number_of(folder)
    layers = {each.number: each.layer for each in catalogue.load()}
    return layers.get(number or 0, "notebook")


def _default(*, solution: bool) -> Path:
    """The exercise that the learner turned to last, else the last opened, else the product.

    With `solution`, the product.
    """
    exercises = catalogue.load()
    folders = [catalogue.product(exercises).solution]
    if not solution:
        last = progress.load().last
        folders += [each.work for each in exercises]
        folders += [each.work for each in exercises if each.slug == last]
    there = [folder for folder in folders if folder.is_dir()]
    return there[-1] if there else workspace().work
