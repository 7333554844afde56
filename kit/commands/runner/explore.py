"""`explore`: try all schedules and all crash points of a runner."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from kit import storage
from kit.commands.runner.run import chosen
from kit.course import catalogue
from kit.errors import KitError
from kit.exploring.findings import Exploration, Outcome
from kit.workspace import shown

# The first exercises with a run in Redis, one run at a time, and a lease.
FIRST, FIRST_WITH_LOCK, FIRST_WITH_LEASE = 6, 7, 12
NARROWEST, WIDEST = 80, 110  # columns
WITHOUT_TERMINAL = (WIDEST, 24)


def explore(
    n: Annotated[
        str | None, typer.Argument(metavar="N", help="Exercise: its number or its name.")
    ] = None,
    solution: Annotated[bool, typer.Option("--solution", help="The solution, not yours.")] = False,
    path: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Any folder with an nb_runner in it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs to read.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with drawings, too.")
    ] = None,
) -> None:
    """Try all schedules and crash points of a runner. Exit code 1: one breaks the rule.

    Example: ./workshop explore 07 --html explored.html
    """
    if n is not None and (number := catalogue.find(n).number) < FIRST:
        raise nothing_to_explore(number)
    project = chosen(n, solution=solution, path=path, quiet=as_json)
    if project.number is not None and project.number < FIRST:
        raise nothing_to_explore(project.number)
    found = _explored(project.path)
    if html is not None:
        _write(html, found)
    if as_json:
        from kit.exploring.reports.as_json import as_json as data_of

        print(json.dumps(data_of(found), indent=2, ensure_ascii=False))
    else:
        _print(found, html)
    if not found.kept:
        raise typer.Exit(1)
    if not found.complete:
        raise typer.Exit(2)


def nothing_to_explore(number: int) -> KitError:
    """The error for exercises before those that keep runs in Redis."""
    return KitError(
        f"there is nothing to explore in exercise {number:02}: from {FIRST:02} on, processes share "
        "what they know of runs in a Redis, and that is what is explored",
        f"./workshop explore {FIRST:02} --solution",
    )


def _explored(folder: Path) -> Exploration:
    from kit.exploring.progress_bar import ProgressBar
    from kit.exploring.search import search_all
    from kit.exploring.subject import opened

    found = Exploration(folder.name, shown(folder))
    with ProgressBar() as bar, opened(folder) as subject:
        search_all(subject, found, bar.show)
    return found


def _write(html: Path, found: Exploration) -> None:
    from kit.exploring.reports.as_html import as_html

    try:
        storage.write_whole(html, as_html(found).encode("utf-8", errors="replace"))
    except OSError as error:
        raise KitError(
            f"{html} cannot be written: {error.strerror}", "./workshop explore --html ANOTHER-FILE"
        ) from None


def _print(found: Exploration, html: Path | None) -> None:
    from kit.exploring.reports.as_text import as_text

    width = min(WIDEST, max(NARROWEST, shutil.get_terminal_size(WITHOUT_TERMINAL).columns - 1))
    print(as_text(found, width))
    number = catalogue.number_of(Path(found.exercise)) or catalogue.product().number
    if number < FIRST_WITH_LOCK and found.left_out:
        print(f"Exercise {FIRST_WITH_LOCK:02} lets one in. `./workshop check {FIRST_WITH_LOCK:02}`")
    elif number < FIRST_WITH_LEASE and any(p.outcome is Outcome.FOR_EVER for p in found.broken):
        lease = f"{FIRST_WITH_LEASE:02}"
        print(f"Exercise {lease} fixes what is refused for ever. `./workshop check {lease}`")
    if html is not None:
        print(f"Written: {shown(html)}")
