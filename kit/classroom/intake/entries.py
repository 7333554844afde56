"""What is in somebody's folder, piece by piece: no link is followed, nothing is opened by name."""

import contextlib
import fnmatch
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# Neither learners nor their work: what running leaves behind, and what others bring along.
LEFT_OUT = (
    *("__pycache__", "*.pyc", "*.egg-info", ".*_cache", ".ipynb_checkpoints", "dist"),
    *(".venv", "venv", "node_modules", ".git", ".workshop"),
    *("__MACOSX", "._*", ".DS_Store"),
)
_LEFT_OUT = re.compile("|".join(fnmatch.translate(pattern) for pattern in LEFT_OUT))
ENTRIES = 100_000  # looked at in one folder or archive, also of what is then left out
CHUNK = 1 << 16  # bytes read at once

# Not blocking, for what turns out to be a pipe after all.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Parts = tuple[str, ...]
Want = Callable[[Parts], bool]
Kind = Literal["file", "folder", "link", "special", "outside", "unreadable"]


class Unreadable(Exception):
    """Why work cannot be read: a sentence, which names nothing but what is in the work."""


@dataclass(frozen=True)
class Entry:
    """A piece of somebody's work. `content` can be read until the next piece is asked for.

    `parts` is the way to it from the top, and `name` what to call it.
    """

    name: str
    parts: Parts
    kind: Kind
    content: Iterable[bytes] = ()


def left_out(name: str) -> bool:
    """Whether a file or folder of that name is nobody's work."""
    return _LEFT_OUT.match(name) is not None


def in_folder(folder: Path, want: Want) -> Iterator[Entry]:
    """What is wanted in a folder, in order. What is not wanted is not opened either.

    Raises Unreadable.
    """
    try:
        top = os.open(folder, _FLAGS | os.O_DIRECTORY)
    except OSError as error:
        why = "it is a link" if folder.is_symlink() else error.strerror
        raise Unreadable(f"The folder cannot be read: {why}.") from None
    try:
        yield from _Walk(want).through(top, ())
    finally:
        os.close(top)


class _Walk:
    """A walk from folder to folder by descriptors: a link put in its way leads nowhere."""

    def __init__(self, want: Want) -> None:
        self._want = want
        self._listed = 0

    def through(self, folder: int, above: Parts) -> Iterator[Entry]:
        try:
            names = self._names(folder, above)
        except OSError:
            yield Entry("/".join(above), above, "unreadable")
            return
        for name in names:
            yield from self._piece(folder, name, (*above, name))

    def _names(self, folder: int, above: Parts) -> list[str]:
        with os.scandir(folder) as found:
            wanted = (each.name for each in found if self._want((*above, each.name)))
            names = list(itertools.islice(wanted, ENTRIES + 1))
        self._listed += len(names)
        if self._listed > ENTRIES:
            raise Unreadable(f"There are more than {ENTRIES:,} files and folders in it.")
        # Of names that differ by case only the first counts: that is main.py, not Main.py.
        return sorted(names, key=str.swapcase)

    def _piece(self, folder: int, name: str, parts: Parts) -> Iterator[Entry]:
        called = "/".join(parts)
        with contextlib.ExitStack() as opened:
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                    piece = os.open(name, _FLAGS, dir_fd=folder)
                    opened.callback(os.close, piece)
                    mode = os.fstat(piece).st_mode  # it may be another by now
            except OSError:
                yield Entry(called, parts, "unreadable")
                return
            if stat.S_ISDIR(mode):
                yield Entry(called, parts, "folder")
                yield from self.through(piece, parts)
            elif stat.S_ISREG(mode):
                yield Entry(called, parts, "file", _content(piece, called))
            else:
                yield Entry(called, parts, "link" if stat.S_ISLNK(mode) else "special")


def _content(file: int, called: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(file, CHUNK)
        except OSError as error:
            raise Unreadable(f"{called} cannot be read: {error.strerror}.") from None
        if not chunk:
            return
        yield chunk
