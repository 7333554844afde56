"""What is in somebody's archive, piece by piece. By what it is, not by what it is called."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kit.classroom.intake.entries import Entry, Unreadable, Want
from kit.classroom.intake.tars import GZIP, in_tar_gz
from kit.classroom.intake.unpacking import Bounded, parsing
from kit.classroom.intake.zips import in_zip

NO_ARCHIVE = "It is neither a .zip nor a .tar.gz, whatever its name says."
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # the second: empty


def in_archive(archive: Path, want: Want) -> Iterator[Entry]:
    """What is wanted in a .zip or .tar.gz, in its order, and what leads out of it.

    Raises Unreadable.
    """
    try:
        file = Bounded(archive, opener=_open)
    except OSError as error:
        why = "it is a link" if archive.is_symlink() else error.strerror
        raise Unreadable(f"The archive cannot be read: {why}.") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Unreadable(NO_ARCHIVE)
        with parsing():
            start = file.read(4)
            file.seek(0)
        if start in ZIPS:
            yield from in_zip(file, want)
        elif start.startswith(GZIP):
            yield from in_tar_gz(file, want)
        else:
            raise Unreadable(NO_ARCHIVE)


def _open(archive: str, flags: int) -> int:
    return os.open(archive, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
