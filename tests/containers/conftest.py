"""One stack for all files of a lane: it takes a minute to build."""

import os
from collections.abc import Iterator

import pytest

from tests.containers.stack import Stack, build, make_stack
from tests.e2e.runner import ENDED
from tools.containers import project


@pytest.fixture(scope="session")
def bare_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The folder, with nothing done in it so far. All is gone after the last test."""
    lane = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    (name,) = (name for name in project.NAMES if name.endswith(lane))
    yield from make_stack(name, tmp_path_factory.mktemp("nb-runner"))


@pytest.fixture(scope="session")
def built_stack(bare_stack: Stack) -> Stack:
    """The folder, once the images are there; with a notebook of the tests."""
    if not (bare_stack.folder / ".env").exists():  # else the first test was the README's
        build(bare_stack)
    return bare_stack


@pytest.fixture
def stack(built_stack: Stack) -> Stack:
    """The stack, up and ready; no run is active."""
    built_stack.up()
    latest = built_stack.client.get("/status")
    if latest.is_success and latest.json()["status"] not in ENDED:
        built_stack.client.post("/cancel")
        built_stack.wait_for(latest.json()["run_id"], *ENDED)
    return built_stack
