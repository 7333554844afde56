"""All that a kernel has started, also what has left its process group.

A process leaves its group by one call: `timeout` and every daemon do. On Linux a process can make
itself a *subreaper*: it becomes the parent of all orphans below it, in the place of init. So what a
kernel has started stays below its guard. If the guard dies, it stays below the pool process; if
that dies too, below the worker's main process. Each of the three is able to kill it.

What is a kernel's, and what is ours? A guard and its kernel are started in sessions of their own. A
process can begin a new session, but it can never enter another one. So a child in another session
than ours belongs to a kernel, with all that is below it.

macOS has no subreapers. There, what has left the group of the kernel escapes.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

# Whether nothing that a kernel starts escapes. (All Linux distributions have this file.)
CONTAINED = sys.platform == "linux" and Path(f"/proc/self/task/{os.getpid()}/children").exists()
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36

# That no child is left is certain only as long as nobody else collects the ones that have ended.
# Reentrant, because a signal's handler may kill while the code that it interrupts does.
_one_at_a_time = threading.RLock()


def contain() -> None:
    """Keep all that is started from now on below this process. A fork has to do it again."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def conceal() -> None:
    """Show keys and passwords of this process to no other process of the same user.

    A process that is not *dumpable* hides its environment, its memory and its files from all but
    root. Its forks are not dumpable either; an exec makes a process dumpable again.
    """
    _prctl(PR_SET_DUMPABLE, 0)


def signal_at_the_end_of_the_parent(number: signal.Signals) -> None:
    """Let the system send us a signal when the thread that has started this process ends."""
    _prctl(PR_SET_PDEATHSIG, number)


def kill_kernels(timeout: float, grace: float = 0) -> bool:
    """Kill all children in other sessions than ours, and all that is below them.

    For `grace` seconds first, they may end by themselves: a guard whose worker has died does, and
    leaves nothing behind.

    Says whether all of them are gone, `timeout` seconds later at the latest. Where processes are
    not contained it does nothing, and says yes.
    """
    began = time.monotonic()
    with _one_at_a_time:
        while kernels := [pid for pid in _children(os.getpid()) if _is_in_another_session(pid)]:
            waited = time.monotonic() - began
            if waited >= grace:
                # First stop all of them: a stopped process starts no others.
                for number in (signal.SIGSTOP, signal.SIGKILL):
                    for pid in _tree(kernels):
                        with contextlib.suppress(OSError):
                            os.kill(pid, number)
            for pid in kernels:  # not sooner: a pid that is collected may get a new process
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if waited >= grace + timeout:
                return False
            time.sleep(0.001)
    return True


def _tree(roots: list[int]) -> list[int]:
    """These processes, and all below them."""
    tree = list(roots)
    for pid in tree:  # it grows meanwhile
        tree += _children(pid)
    return tree


def _children(parent: int) -> list[int]:
    """Those that have ended are among them until the parent has noticed."""
    if not CONTAINED:
        return []
    children: list[int] = []
    with contextlib.suppress(OSError):  # the process has ended meanwhile
        for thread in Path(f"/proc/{parent}/task").iterdir():
            with contextlib.suppress(OSError):  # the thread has
                children += map(int, (thread / "children").read_text().split())
    return children


def _is_in_another_session(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid) != os.getsid(0)
    return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0)))
