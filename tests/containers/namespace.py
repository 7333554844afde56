"""Namespaces in which nothing was ever started, and which leave nothing when they end."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# What an engine keeps there must neither be found by it nor be left by it.
FRESH = ("/run", "/var/lib/cni")


@contextmanager
def namespace(*, processes: bool = False) -> Iterator[list[str]]:
    """The words before a command that is to run with a network and mounts of its own.

    With `processes`, all that was started there ends with it, and with the program that made it.
    """
    mounts = [f"mkdir -p {place} && mount -t tmpfs none {place}" for place in FRESH]
    # Until the other end of its standard input is closed: the system does so, whatever ends us.
    script = " && ".join([*mounts, "ip link set lo up", "echo", "exec catatonit -- cat"])
    kinds = ["--net", "--mount"]
    own = ["--pid", "--fork", "--kill-child", "--mount-proc"] if processes else []
    argv = ["unshare", *kinds, *own, "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"\n"
            pid = holder.pid
            if processes:
                (first,) = psutil.Process(pid).children()
                pid = first.pid
                kinds.append("--pid")
            yield ["nsenter", "--target", str(pid), *kinds]
        finally:
            holder.kill()
