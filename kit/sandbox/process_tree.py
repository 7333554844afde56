"""All that this process has started, however far it has moved away: to count it and to end it."""

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
PATIENCE = 10.0  # seconds until what is killed has to be gone


def keep_orphans() -> None:
    """From now on, whoever loses its parent below this process becomes its child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def shut_eyes(shut: bool = True) -> None:
    """Let no other process look into this one and its forks: neither memory nor open files.

    An exec ends it. Nothing helps against root.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, int(not shut), 0, 0, 0)


def leave_keyring() -> None:
    """Have a session keyring of our own: the kernel's keys are in no namespace."""
    call = {"x86_64": 250, "aarch64": 219}.get(platform.machine())  # keyctl
    if sys.platform == "linux" and call is not None:
        ctypes.CDLL(None).syscall(call, KEYCTL_JOIN_SESSION_KEYRING, None)


def family(spared: Collection[int] = ()) -> list[psutil.Process]:
    """The living below this process, without the `spared`."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.pid not in spared and not _is_dead(process)
    ]


def end_family(spared: Collection[int] = (), *, alone: bool = False) -> bool:
    """Kill all below this process but the `spared`. Whether they are all that is left.

    `alone`: this is the only program in its process namespace, so where nothing else helps all
    processes there are can be killed at one stroke: the spared ones, too.
    """
    deadline = time.monotonic() + PATIENCE
    while rest := family(spared):
        late = time.monotonic() > deadline
        if alone and (late or len(rest) > 100):
            # Nothing can fork away from under it. It spares init and ourselves.
            os.kill(-1, signal.SIGKILL)
        elif late:
            return False
        # Who is stopped does not fork while we look for the others.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in rest:
                with contextlib.suppress(OSError):
                    os.kill(process.pid, number)
        _bury(spared)
        if late and alone:
            return not family()
        time.sleep(0.005)
    _bury(spared)
    return True


def _bury(spared: Collection[int]) -> None:
    """Take leave of dead orphans. Our own children are for those who started them to wait for."""
    for process in psutil.Process().children():
        if process.pid not in spared and _is_dead(process):
            with contextlib.suppress(OSError):
                os.waitpid(process.pid, os.WNOHANG)


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True
