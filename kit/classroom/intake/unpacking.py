"""What reading a .zip and a .tar.gz have in common: neither file nor names are believed."""

import contextlib
import io
import re
from collections.abc import Iterator

from kit.classroom.intake.entries import Parts, Unreadable

AT_ONCE = 8_000_000  # bytes that are read at once: a .zip's directory, names and little more
LONGEST_WAY = 4_096  # characters from an archive's top: systems take no more either

DAMAGED = "The archive is damaged, or was cut short."
WITHOUT_VENV = "If a .venv is in it, ask for one without."
TOO_MANY = f"There are too many files and folders in the archive. {WITHOUT_VENV}"
TOO_WORDY = "The archive says more about its files than any that we know: nobody packs like that."

_DRIVE = re.compile(r"[A-Za-z]:")


class Bounded(io.FileIO):
    """A file of which nobody reads much at once, even if a header says that there is much."""

    def read(self, size: int | None = -1) -> bytes:
        within = size is not None and 0 <= size <= AT_ONCE
        data = super().read(size if within else AT_ONCE + 1)
        if len(data) > AT_ONCE:
            raise Unreadable(TOO_MANY)
        return data


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """Whatever a parser makes of bytes that somebody made up, the archive is at fault."""
    try:
        yield
    except Unreadable:
        raise
    except Exception:
        raise Unreadable(DAMAGED) from None


def way(name: str) -> Parts | None:
    """The parts of a name in an archive; None if it leads out of it."""
    if len(name) > LONGEST_WAY:
        raise Unreadable(TOO_WORDY)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    inside = not name.startswith("/") and ".." not in parts and not _DRIVE.match(name)
    return parts if inside else None
