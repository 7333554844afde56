"""`slides`: the decks, built when something in them has changed, and served on this machine."""

from typing import Annotated

import typer

from kit.errors import KitError
from kit.processes.stack import Stack
from kit.site.server import serving, wait_for_interrupt
from kit.site.slides import names, up_to_date

RETRY = "./workshop slides --deck talk"


def slides(
    deck: Annotated[
        str, typer.Option(metavar="NAME", help="One deck, by its name; `talk` is all of them.")
    ] = "talk",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8002,
) -> None:
    """Show the slides: builds them, and serves them on this machine. Ctrl-C stops it.

    In the browser, S opens the speaker view: notes, the next slide, and the pace.

    Example: ./workshop slides --deck celery
    """
    if deck not in names():
        raise KitError(f"there is no deck {deck!r}; there is {', '.join(names())}", RETRY)
    with Stack() as stack:
        folder = up_to_date(stack)
    with serving(folder, port) as address:
        print(f"All decks: {address}")
        wait_for_interrupt("Slides", f"{address}{deck}.html")
