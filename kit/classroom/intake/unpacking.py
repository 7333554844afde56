"""What reading a .zip and a .tar.gz have in common: sizes and names in them are not trusted."""

import contextlib
import io
import re
from collections.abc import Iterator

from kit.classroom.intake.entries import Parts, Unreadable

MAX_READ_BYTES = 8_000_000  # in one call of read: enough for a .zip's directory
MAX_PATH_CHARACTERS = 4_096  # of an entry; operating systems allow no more either

DAMAGED = "The archive is damaged, or was cut short."
VENV_HINT = "If a .venv is in it, ask for one without."
TOO_MANY_ENTRIES = f"There are too many files and folders in the archive. {VENV_HINT}"
METADATA_TOO_LARGE = (
    "The archive's metadata is larger than that of any usual archive, so it is not unpacked."
)

_DRIVE = re.compile(r"[A-Za-z]:")


class BoundedFile(io.FileIO):
    """A file whose `read` returns at most MAX_READ_BYTES.

    A parser asks for as many bytes as a header of the archive says. Raises Unreadable when there
    are more.
    """

    def read(self, size: int | None = -1) -> bytes:
        within = size is not None and 0 <= size <= MAX_READ_BYTES
        data = super().read(size if within else MAX_READ_BYTES + 1)
        if len(data) > MAX_READ_BYTES:
            raise Unreadable(TOO_MANY_ENTRIES)
        return data


@contextlib.contextmanager
def unreadable_on_error() -> Iterator[None]:
    """Turn each error of a parser into Unreadable.

    The parsers of the standard library raise errors of many types for forged bytes.
    """
    try:
        yield
    except Unreadable:
        raise
    except Exception:
        raise Unreadable(DAMAGED) from None


def parts_of(name: str) -> Parts | None:
    """The parts of an entry's name; None if the name leads out of the archive.

    Raises Unreadable for a name that is too long.
    """
    if len(name) > MAX_PATH_CHARACTERS:
        raise Unreadable(METADATA_TOO_LARGE)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    inside = not name.startswith("/") and ".." not in parts and not _DRIVE.match(name)
    return parts if inside else None
