"""Whether the system has killed processes because memory ran out: cgroups count it, on Linux.

The count is of the worker's cgroup, in which its kernels are, too. In a container, that is the
container. Cgroups of version 2 count in memory.events, those of version 1 in memory.oom_control.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OURS = Path("/proc/self/cgroup")  # lines like 0::/a/b or, of version 1, 4:memory:/a/b


def killed() -> int:
    """How many processes the system has killed so far. 0 where nothing counts them."""
    for file in _counters():
        try:
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts["oom_kill"])
        except (OSError, KeyError, ValueError):
            continue  # it is not there
    return 0


def _counters() -> Iterator[Path]:
    try:
        lines = OURS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folder, file = ROOT, "memory.events"
        elif "memory" in controllers.split(","):
            folder, file = ROOT / "memory", "memory.oom_control"
        else:
            continue
        yield folder / path.lstrip("/") / file
        yield folder / file  # in a container, the path may be that of the host
