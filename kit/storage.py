"""Texts that are read, and files and folders that are replaced whole or not at all.

Standard library only: set-up uses it too. The new content is written to a temporary name in the
same file system, and then renamed. A reader sees the old content or the new, never a part of it.
"""

import contextlib
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LONGEST = 70  # bytes of a folder for sockets: on macOS, the path of a socket has at most 103
SHORT = Path("/tmp")


def text_of(file: Path) -> str:
    """The text in a file that a person writes. Raises OSError, or ValueError when it is no UTF-8.

    Editors of Windows put a byte order mark in front, which is no part of the text.
    """
    return file.read_text(encoding="utf-8-sig")


def write_whole(file: Path, content: bytes, *, sync: bool = False, mode: int = 0o666) -> None:
    """Replace the content of a file. On OSError, the file has not changed.

    `sync`: wait until it is on the disk, so that a power cut leaves the old content or the new.
    `mode` is that of the new file, before the umask.
    """
    # With the process id: another process may write the same file at this moment.
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(made, "wb") as out:
            out.write(content)
            if sync:
                out.flush()
                os.fsync(out.fileno())
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replacing_folder(folder: Path, kept: Path | None = None) -> Iterator[Path]:
    """Yields the path for a new folder, which replaces `folder` at the end.

    The old folder is moved to `kept`, or removed. An exception leaves it as it was.
    """
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as place:
        new, old = Path(place) / folder.name, kept or Path(place) / "old"
        yield new
        with contextlib.suppress(FileNotFoundError):
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise


def set_aside(file: Path) -> Path:
    """Rename a damaged file, so that a new one can take its name. Returns the new path."""
    aside = unused(file.with_name(f"{file.name}.damaged-{timestamp()}"))
    file.replace(aside)
    return aside


def unused(path: Path) -> Path:
    """`path`, or the first of `path`-2, `path`-3 … that does not exist."""
    others = (path.with_name(f"{path.name}-{n}") for n in itertools.count(2))
    return next(each for each in itertools.chain([path], others) if not each.exists())


def short_temporary_folder() -> Path:
    """The folder for temporary files that are sockets: TMPDIR, or /tmp where that is too long."""
    named = Path(tempfile.gettempdir())
    return named if len(os.fsencode(named)) <= LONGEST or not SHORT.is_dir() else SHORT


def timestamp() -> str:
    """The local time, for file names."""
    return time.strftime("%Y%m%d-%H%M%S")
