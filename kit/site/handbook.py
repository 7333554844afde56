"""The handbook: what it is built from, and how."""

from pathlib import Path

from kit.processes.stack import Stack
from kit.site import builder
from kit.workspace import ROOT

# A page tells of all of these.
SOURCES = ("docs", "exercises", "kit", "mkdocs.yml", "notebooks", "solutions")
# Otherwise it would be about another course, and MkDocs would advertise its successor.
ENVIRONMENT = {"WORKSHOP_COURSE": "", "NO_MKDOCS_2_WARNING": "1"}
# Its pages ask the server that shows them for the learner's place; those of `make site` do not.
# The same server has the slides, at slides/.
LIVE = {"HANDBOOK_LIVE": "1", "HANDBOOK_SLIDES": "1"}


def up_to_date(stack: Stack, *, live: bool = True) -> Path:
    """The folder of the built handbook, built again when a source is newer. Raises KitError.

    `live`: its pages ask for the learner's place.
    """
    name = "handbook" if live else "handbook-for-all"

    def build(folder: Path) -> None:
        # Not strict: a warning is for authors, and must not keep a reader from reading.
        words = ["mkdocs", "build", "--quiet", "--no-strict", "--site-dir", str(folder)]
        builder.run_builder(stack, "handbook", words, ENVIRONMENT | (LIVE if live else {}))

    return builder.build_if_outdated(name, [ROOT / each for each in SOURCES], build)
