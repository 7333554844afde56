"""`seed`: load a year of real flights into the database."""

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kit.setup.bootstrap import need_here
from kit.setup.layers import for_database


def seed(
    database: Annotated[
        str | None,
        typer.Option(
            envvar="DATABASE_URL",
            metavar="URL",
            help="Where to: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME. "
            "By default a SQLite file in .workshop/.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Load a year of real flights into the database; does nothing the second time.

    Example: ./workshop seed
    """
    need_here(for_database(database or ""))
    from kit.data.flights import ROWS
    from kit.data.seed import database_url, load, shown

    url = database_url(database)
    console = Console(soft_wrap=True)
    total = sum(ROWS.values())
    bar = Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    started = time.monotonic()
    try:
        with bar:
            task = bar.add_task("", total=total)
            fresh = load(
                url,
                on_rows=lambda table, rows: bar.update(task, description=table, advance=rows),
                on_wait=lambda: console.print("Another seed is at work here; waiting for it."),
            )
    except KeyboardInterrupt:
        console.print("Interrupted. Nothing was loaded; ./workshop seed starts over.")
        raise typer.Exit(130) from None
    if fresh:
        seconds = time.monotonic() - started
        console.print(f"Loaded {total:,} rows into {shown(url)} in {seconds:.0f} s.", markup=False)
    else:
        console.print(f"Already there: {total:,} rows in {shown(url)}.", markup=False)
