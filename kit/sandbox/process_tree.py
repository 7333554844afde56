"""The process tree below this process, orphans and daemons included: to count it and to kill it."""

import contextlib
import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Collection

import psutil

from kit.processes.forkserver import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE

KEYCTL_JOIN_SESSION_KEYRING = 1
KILL_TIMEOUT = 10.0  # seconds until killed processes have to be gone


def become_subreaper() -> None:
    """Make this process the new parent of every orphan below it, in the place of init."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def set_nondumpable() -> None:
    """Deny other processes access to the memory and the open files of this process and its forks.

    An exec resets it. Root has access all the same.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def join_new_keyring() -> None:
    """Join a new session keyring. No namespace separates the keys that the kernel keeps."""
    call = {"x86_64": 250, "aarch64": 219}.get(platform.machine())  # keyctl
    if sys.platform == "linux" and call is not None:
        ctypes.CDLL(None).syscall(call, KEYCTL_JOIN_SESSION_KEYRING, None)


def process_tree(spared: Collection[int] = ()) -> list[psutil.Process]:
    """The running processes below this one, without the `spared`."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.pid not in spared and not _has_ended(process)
    ]


def kill_process_tree(spared: Collection[int] = (), *, own_namespace: bool = False) -> bool:
    """Kill the processes below this one, without the `spared`. Whether all of them are gone.

    `own_namespace`: this is the only program in its process namespace. So when the tree grows
    faster than it is killed, one call kills every process in it, the spared ones too.
    """
    deadline = time.monotonic() + KILL_TIMEOUT
    while living := process_tree(spared):
        overdue = time.monotonic() > deadline
        if own_namespace and (overdue or len(living) > 100):
            # One call for all: no process can fork in between. It spares init and this process.
            os.kill(-1, signal.SIGKILL)
        elif overdue:
            return False
        # First stop all of them: a stopped process cannot fork.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in living:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, number)
        _reap(spared)
        if overdue and own_namespace:
            return not process_tree()
        time.sleep(0.005)
    _reap(spared)
    return True


def _reap(spared: Collection[int]) -> None:
    """Reap the orphans that have ended. The `spared` are reaped by the code that started them."""
    for process in psutil.Process().children():
        if process.pid not in spared and _has_ended(process):
            with contextlib.suppress(OSError):
                os.waitpid(process.pid, os.WNOHANG)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True
