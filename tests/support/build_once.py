"""What takes long to make and is only looked at afterwards: made once for all workers of xdist."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """What `make` makes at the path that it is called with, by the first worker that asks.

    The others wait. After a failure the next who asks tries again, over what is there.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        together = factory.mktemp(name)
    else:
        together = factory.getbasetemp().parent
    made = together / name
    with (together / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done := together / f"{name}.done").exists():
            make(made)
            done.touch()
    return made
