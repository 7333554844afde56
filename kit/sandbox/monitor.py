"""Looking whether a submission keeps to its limits, as far as the system does not see to that."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from kit.grading.failure import FailureCode
from kit.sandbox.limits import Limits
from kit.sandbox.process_tree import family

SELDOM = 1.0  # seconds between two looks at what takes long to look at


@dataclass(frozen=True)
class Excess:
    """A limit that a submission has exceeded, and how much it would have allowed."""

    code: FailureCode
    limit: float


class Watcher:
    """Counts what is below this process, and what lies in `folder`.

    `whole`: the folder is a file system of its own, which can be asked how full it is.
    """

    def __init__(self, limits: Limits, folder: Path, *, whole: bool) -> None:
        self._limits = limits
        self._folder = folder
        self._whole = whole
        self._looked = 0.0

    def look(self) -> Excess | None:
        """The limit that is exceeded, if one is."""
        limits = self._limits
        processes = family()
        if len(processes) > limits.processes:
            return Excess(FailureCode.PROCESS_LIMIT, limits.processes)
        if sum(map(_threads, processes)) > limits.threads:
            return Excess(FailureCode.THREAD_LIMIT, limits.threads)
        # What forks share counts for each of them at first; the true sum takes long to ask for.
        if sum(map(_resident, processes)) > limits.memory < sum(map(_own, processes)):
            return Excess(FailureCode.MEMORY_LIMIT, limits.memory)
        size, files = self._filled()
        if size > limits.disk:
            return Excess(FailureCode.DISK_LIMIT, limits.disk)
        if files > limits.files:
            return Excess(FailureCode.FILE_LIMIT, limits.files)
        return None

    def _filled(self) -> tuple[int, int]:
        """The bytes and the files in the folder; as many as it takes, when they are too many."""
        if self._whole:
            told = os.statvfs(self._folder)
            return (told.f_blocks - told.f_bfree) * told.f_frsize, told.f_files - told.f_ffree
        if time.monotonic() < self._looked + SELDOM:
            return 0, 0
        try:
            return self._walk()
        finally:
            self._looked = time.monotonic()

    def _walk(self) -> tuple[int, int]:
        size = files = 0
        waiting = [str(self._folder)]
        while waiting and size <= self._limits.disk and files <= self._limits.files:
            for entry in _entries(waiting.pop()):
                files += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        return size, files


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    with contextlib.suppress(OSError):
        if not os.access(folder, os.R_OK | os.X_OK):
            Path(folder).chmod(0o700)  # nobody hides anything in a locked folder
        with os.scandir(folder) as entries:
            return list(entries)
    return []


def _threads(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.num_threads()
    return 0


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _own(process: psutil.Process) -> int:
    """Its memory, with its share only of what it shares with others."""
    with contextlib.suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().pss)
    return _resident(process)
