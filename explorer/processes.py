"""Kill, pause and wake a process with all that it has started."""

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress


def kill(pid: int) -> None:
    """SIGKILL for the process and all its children. It cannot start more of them meanwhile."""
    _signal_all(pause(pid), signal.SIGKILL)


def pause(pid: int) -> list[int]:
    """SIGSTOP for the process and all its children, which are returned with it."""
    stopped: list[int] = []
    while new := [one for one in family(pid) if one not in stopped]:
        _signal_all(new, signal.SIGSTOP)  # a process that stands still starts no other
        stopped += new
    return stopped


def wake(pid: int) -> None:
    """SIGCONT for the process and all its children, the youngest first."""
    _signal_all(reversed(family(pid)), signal.SIGCONT)


def family(pid: int) -> list[int]:
    """The process, its children, their children, and so on."""
    said = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    children: dict[int, list[int]] = {}
    for line in said.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:  # grows meanwhile
        found += children.get(one, [])
    return found


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
