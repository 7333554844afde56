"""Things that take long to build and that tests only read: built once for all workers of xdist."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def build_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The path at which `make` has built something. The first worker that asks calls `make`.

    The other workers wait. When `make` fails, the next worker calls it again, at the same path,
    with the remains of the first attempt in place.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = factory.mktemp(name)
    else:
        folder = factory.getbasetemp().parent  # the workers share it
    path = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done := folder / f"{name}.done").exists():
            make(path)
            done.touch()
    return path
