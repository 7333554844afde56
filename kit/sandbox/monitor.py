"""Checking the limits that the kernel does not enforce for a submission."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from kit.sandbox.limits import Limits
from kit.sandbox.process_tree import process_tree
from kit.verdicts.failure import FailureCode

DISK_POLL_INTERVAL = 1.0  # seconds between two walks through the folder, which take long


@dataclass(frozen=True)
class Excess:
    """A limit that a submission has exceeded, and how much it would have allowed."""

    code: FailureCode
    limit: float


class Monitor:
    """Counts the processes below this process, and the files in `folder`.

    `own_filesystem`: the folder is a file system of its own, so the kernel knows how full it is.
    """

    def __init__(self, limits: Limits, folder: Path, *, own_filesystem: bool) -> None:
        self._limits = limits
        self._folder = folder
        self._own_filesystem = own_filesystem
        self._walked_at = 0.0

    def check(self) -> Excess | None:
        """The first limit that is exceeded, or None."""
        limits = self._limits
        processes = process_tree()
        if len(processes) > limits.processes:
            return Excess(FailureCode.PROCESS_LIMIT, limits.processes)
        if sum(map(_thread_count, processes)) > limits.threads:
            return Excess(FailureCode.THREAD_LIMIT, limits.threads)
        # The resident sum counts shared memory once for each process. The exact sum is slow, so it
        # is computed only when the resident sum is over the limit.
        if (
            sum(map(_resident_memory, processes))
            > limits.memory
            < sum(map(_proportional_memory, processes))
        ):
            return Excess(FailureCode.MEMORY_LIMIT, limits.memory)
        size, files = self._disk_usage()
        if size > limits.disk:
            return Excess(FailureCode.DISK_LIMIT, limits.disk)
        if files > limits.files:
            return Excess(FailureCode.FILE_LIMIT, limits.files)
        return None

    def _disk_usage(self) -> tuple[int, int]:
        """How many bytes and files the folder has. The count stops above the limits."""
        if self._own_filesystem:
            stats = os.statvfs(self._folder)
            return (stats.f_blocks - stats.f_bfree) * stats.f_frsize, stats.f_files - stats.f_ffree
        if time.monotonic() < self._walked_at + DISK_POLL_INTERVAL:
            return 0, 0
        try:
            return self._walk_folder()
        finally:
            self._walked_at = time.monotonic()

    def _walk_folder(self) -> tuple[int, int]:
        size = files = 0
        folders = [str(self._folder)]
        while folders and size <= self._limits.disk and files <= self._limits.files:
            for entry in _entries(folders.pop()):
                files += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        return size, files


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    with contextlib.suppress(OSError):
        if not os.access(folder, os.R_OK | os.X_OK):
            Path(folder).chmod(0o700)  # a locked folder counts, too
        with os.scandir(folder) as entries:
            return list(entries)
    return []


def _thread_count(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.num_threads()
    return 0


def _resident_memory(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional_memory(process: psutil.Process) -> int:
    """Its memory, with its proportional share of the memory that it shares with others."""
    with contextlib.suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().pss)
    return _resident_memory(process)
