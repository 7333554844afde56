"""The entries of an archive. Its first bytes decide what it is, not its name."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kit.classroom.intake.entries import Entry, EntryFilter, Unreadable
from kit.classroom.intake.tars import GZIP_MAGIC, tar_gz_entries
from kit.classroom.intake.unpacking import BoundedFile, unreadable_on_error
from kit.classroom.intake.zips import zip_entries

NOT_AN_ARCHIVE = "It is neither a .zip nor a .tar.gz, whatever its name says."
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the second: an empty archive


def archive_entries(archive: Path, is_wanted: EntryFilter) -> Iterator[Entry]:
    """The wanted entries of a .zip or .tar.gz, in its order, and all that lead out of it.

    Raises Unreadable.
    """
    try:
        file = BoundedFile(archive, opener=_open)
    except OSError as error:
        why = "it is a link" if archive.is_symlink() else error.strerror
        raise Unreadable(f"The archive cannot be read: {why}.") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Unreadable(NOT_AN_ARCHIVE)
        with unreadable_on_error():
            start = file.read(4)
            file.seek(0)
        if start in ZIP_MAGIC:
            yield from zip_entries(file, is_wanted)
        elif start.startswith(GZIP_MAGIC):
            yield from tar_gz_entries(file, is_wanted)
        else:
            raise Unreadable(NOT_AN_ARCHIVE)


def _open(archive: str, flags: int) -> int:
    return os.open(archive, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
