"""Kill, pause and wake a process with all that it has started."""

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

PROC = Path("/proc")
DEATH = 5.0  # seconds; a process that waits for a disk may take its time
POLL = 0.005  # seconds


def kill(pid: int) -> None:
    """SIGKILL for the process and all its children, none of which lives on afterwards."""
    all_of_them = pause(pid)  # one that stands still starts no other meanwhile
    _signal_all(all_of_them, signal.SIGKILL)
    deadline = monotonic() + DEATH
    while any(one in all_of_them for one in _living()) and monotonic() < deadline:
        sleep(POLL)


def pause(pid: int) -> list[int]:
    """SIGSTOP for the process and all its children, which are returned with it."""
    stopped: list[int] = []
    while new := [one for one in process_tree(pid) if one not in stopped]:
        _signal_all(new, signal.SIGSTOP)
        stopped += new
    return stopped


def wake(pid: int) -> None:
    """SIGCONT for the process and all its children, the youngest first."""
    _signal_all(reversed(process_tree(pid)), signal.SIGCONT)


def process_tree(pid: int) -> list[int]:
    """The process, its children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in _listed():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:  # grows meanwhile
        found += children.get(one, [])
    return found


def _living() -> list[int]:
    """All processes that have not ended. A zombie has ended."""
    return [pid for pid, _, state in _listed() if not state.startswith("Z")]


def _listed() -> list[tuple[int, int, str]]:
    """All processes: number, parent, state."""
    if (PROC / "self").exists():  # Linux; a small image may have no ps
        return [one for folder in PROC.glob("[0-9]*") if (one := _read(folder / "stat"))]
    ps = ["ps", "-A", "-o", "pid=,ppid=,stat="]
    said = subprocess.run(ps, capture_output=True, check=True, text=True).stdout
    rows = (line.split() for line in said.splitlines())
    return [(int(pid), int(parent), state) for pid, parent, state, *_ in rows]


def _read(stat: Path) -> tuple[int, int, str] | None:
    """From "pid (name) state parent …": the name may hold spaces and brackets."""
    with suppress(OSError):  # it has ended meanwhile
        start, _, rest = stat.read_text().rpartition(")")
        state, parent, *_ = rest.split()
        return int(start.partition(" ")[0]), int(parent), state
    return None


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
