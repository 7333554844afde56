"""The slides: what the decks are built from, and how."""

import tempfile
from pathlib import Path

from kit.processes.stack import Stack
from kit.site import builder
from kit.workspace import ROOT

# A slide shows of all of these.
SOURCES = (
    "docs/assets",
    "docs/stylesheets",
    "exercises",
    "kit/course",
    "kit/site",
    "pyproject.toml",
    "slides",
    "solutions",
)
# Otherwise they would be about another course.
ENVIRONMENT = {"WORKSHOP_COURSE": ""}


def names() -> list[str]:
    """The decks, and the talk that is all of them."""
    return sorted(file.stem for file in (ROOT / "slides").glob("*.md"))


def up_to_date(stack: Stack) -> Path:
    """The folder of the built slides, built again when a source is newer. Raises KitError."""

    def build(folder: Path) -> None:
        # Not strict: a warning is for authors, and `make site` is strict.
        with tempfile.TemporaryDirectory(prefix="slides-") as doctrees:
            options = ["-b", "revealjs", "-q", "-E", "-d", doctrees]
            words = ["sphinx", *options, str(ROOT / "slides"), str(folder)]
            builder.run_builder(stack, "slides", words, ENVIRONMENT)

    return builder.build_if_outdated("slides", [ROOT / each for each in SOURCES], build)
