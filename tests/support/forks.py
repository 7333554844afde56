"""A fork server for the tests that start many API processes and workers."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.processes.forkserver import ForkServer


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer | None]:
    """A server that forks API processes and workers. Only Linux has one."""
    if sys.platform != "linux":
        yield None
        return
    with ForkServer(Path(os.devnull), os.environ) as server:
        yield server
