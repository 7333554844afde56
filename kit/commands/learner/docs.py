"""`docs`: the handbook, built when something in it has changed, and served on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from kit.site import builder
from kit.workspace import ROOT

# A page tells of all of these.
SOURCES = ("docs", "exercises", "kit", "mkdocs.yml", "notebooks", "solutions")
# It would tell of another course, or at length of its successor.
ENVIRONMENT = {"WORKSHOP_COURSE": "", "NO_MKDOCS_2_WARNING": "1"}


def docs(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8001,
) -> None:
    """Read the handbook: builds it, and serves it on this machine. Ctrl-C stops it.

    Example: ./workshop docs --port 0
    """
    with builder.served(handbook(), port) as address:
        builder.until_interrupted("The handbook", address)


def handbook() -> Path:
    """The folder of the built handbook, up to date. Raises KitError."""
    return builder.fresh("handbook", [ROOT / each for each in SOURCES], build)


def build(folder: Path) -> None:
    """Build it into `folder`. Raises KitError."""
    # A warning is for those who write it: nobody is kept from reading for it.
    words = ["mkdocs", "build", "--quiet", "--no-strict", "--site-dir", str(folder)]
    builder.run_builder("handbook", words, ENVIRONMENT)
