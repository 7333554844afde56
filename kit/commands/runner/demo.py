"""`demo`: the finished runner at work on a year of real flights."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kit.errors import KitError
from kit.workspace import NOTEBOOKS, shown


def demo(
    notebook: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Another notebook than flight_delays.ipynb."),
    ] = None,
) -> None:
    """Watch the finished runner work through a year of real flights. Ends by itself.

    Example: ./workshop demo
    """
    from kit.runner.demo import require_real_redis, tour

    began = time.monotonic()
    require_real_redis()
    if notebook is not None and not notebook.is_file():
        raise KitError(f"there is no notebook {notebook}", f"ls {shown(NOTEBOOKS)}")
    console = Console(soft_wrap=True, highlight=False, markup=False)
    try:
        succeeded = tour(console, notebook)
    except KeyboardInterrupt:
        console.print("Interrupted, and stopped.")
        raise
    if not succeeded:
        raise typer.Exit(1)
    console.print(f"Done in {time.monotonic() - began:.0f} s. Your turn: ./workshop")
