"""`slides`: the decks, built when something in them has changed, and served on this machine."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from kit.errors import KitError
from kit.site import builder
from kit.workspace import ROOT

# A slide shows of all of these.
SOURCES = ("docs/assets", "exercises", "kit/course", "slides", "solutions")
# It would tell of another course.
ENVIRONMENT = {"WORKSHOP_COURSE": ""}
PAGE = "{address}{deck}.html"


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
    with builder.served(built(), port) as address:
        print(f"All decks: {address}")
        builder.until_interrupted("Slides", PAGE.format(address=address, deck=deck))


def names() -> list[str]:
    """The decks, and the talk that is all of them."""
    return sorted(file.stem for file in (ROOT / "slides").glob("*.md"))


def built() -> Path:
    """The folder of the built slides, up to date. Raises KitError."""
    return builder.fresh("slides", [ROOT / each for each in SOURCES], build)


def build(folder: Path) -> None:
    """Build them into `folder`. Raises KitError."""
    # A warning is for those who write them: `make site` is strict.
    with tempfile.TemporaryDirectory(prefix="slides-") as doctrees:
        options = ["-b", "revealjs", "-q", "-E", "-d", doctrees]
        words = ["sphinx", *options, str(ROOT / "slides"), str(folder)]
        builder.run_builder("slides", words, ENVIRONMENT)


RETRY = "./workshop slides --deck talk"
