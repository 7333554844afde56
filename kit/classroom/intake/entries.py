"""The entries of a folder. No link is followed, and no entry is opened by its path."""

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

# Generated files, environments and metadata: they are neither learners nor their work.
IGNORED_PATTERNS = (
    *("__pycache__", "*.pyc", "*.egg-info", ".*_cache", ".ipynb_checkpoints", "dist"),
    *(".venv", "venv", "node_modules", ".git", ".workshop"),
    *("__MACOSX", "._*", ".DS_Store"),
)
_IGNORED = re.compile("|".join(fnmatch.translate(pattern) for pattern in IGNORED_PATTERNS))
MAX_ENTRIES = 100_000  # listed in one folder or archive, ignored ones of an archive included
CHUNK_BYTES = 1 << 16  # in one read

# O_NONBLOCK: if a pipe has taken the place of a file, opening it must not wait for a writer.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Parts = tuple[str, ...]  # a path inside a submission, as names: ("work", "07-one-at-a-time")
EntryFilter = Callable[[Parts], bool]  # whether the entry at this path is wanted
Kind = Literal["file", "folder", "link", "special", "outside", "unreadable"]


class Unreadable(Exception):
    """Why a submission cannot be read: a sentence without any path outside of the submission."""


@dataclass(frozen=True)
class Entry:
    """A file, folder, link or the like in a submission.

    `name` is for messages, and `parts` is the path from the top. `content` can be read until the
    next entry is asked for.
    """

    name: str
    parts: Parts
    kind: Kind
    content: Iterable[bytes] = ()


def is_ignored(name: str) -> bool:
    """Whether files and folders of this name are never a part of a learner's work."""
    return _IGNORED.match(name) is not None


def folder_entries(folder: Path, is_wanted: EntryFilter) -> Iterator[Entry]:
    """The wanted entries of a folder, sorted. A folder that is not wanted is not opened.

    Raises Unreadable.
    """
    try:
        top = os.open(folder, _FLAGS | os.O_DIRECTORY)
    except OSError as error:
        why = "it is a link" if folder.is_symlink() else error.strerror
        raise Unreadable(f"The folder cannot be read: {why}.") from None
    try:
        yield from _FolderWalk(is_wanted).entries_in(top, ())
    finally:
        os.close(top)


class _FolderWalk:
    """A walk from folder to folder by file descriptors.

    If a link replaces a folder during the walk, the walk does not follow it.
    """

    def __init__(self, is_wanted: EntryFilter) -> None:
        self._is_wanted = is_wanted
        self._listed = 0

    def entries_in(self, folder: int, above: Parts) -> Iterator[Entry]:
        try:
            names = self._names(folder, above)
        except OSError:
            yield Entry("/".join(above), above, "unreadable")
            return
        for name in names:
            yield from self._entries_at(folder, name, (*above, name))

    def _names(self, folder: int, above: Parts) -> list[str]:
        with os.scandir(folder) as found:
            wanted = (each.name for each in found if self._is_wanted((*above, each.name)))
            names = list(itertools.islice(wanted, MAX_ENTRIES + 1))
        self._listed += len(names)
        if self._listed > MAX_ENTRIES:
            raise Unreadable(f"There are more than {MAX_ENTRIES:,} files and folders in it.")
        # Of names that differ by case only, the first is copied: main.py, not Main.py.
        return sorted(names, key=str.swapcase)

    def _entries_at(self, folder: int, name: str, parts: Parts) -> Iterator[Entry]:
        """The entry `name` of an open folder; if it is a folder, all entries below it, too."""
        path = "/".join(parts)
        with contextlib.ExitStack() as opened:
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                    descriptor = os.open(name, _FLAGS, dir_fd=folder)
                    opened.callback(os.close, descriptor)
                    # Between the two calls, another entry may have taken the name.
                    mode = os.fstat(descriptor).st_mode
            except OSError:
                yield Entry(path, parts, "unreadable")
                return
            if stat.S_ISDIR(mode):
                yield Entry(path, parts, "folder")
                yield from self.entries_in(descriptor, parts)
            elif stat.S_ISREG(mode):
                yield Entry(path, parts, "file", _content(descriptor, path))
            else:
                yield Entry(path, parts, "link" if stat.S_ISLNK(mode) else "special")


def _content(file: int, path: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(file, CHUNK_BYTES)
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror}.") from None
        if not chunk:
            return
        yield chunk
