"""One stack for all tests: it takes a minute to build."""

import os
from collections.abc import Iterator

import pytest

from tests.containers.stack import Stack, make_stack
from tests.e2e.runner import ENDED


@pytest.fixture(scope="session")
def bare_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The folder, with nothing done in it so far. All is gone after the last test."""
    yield from make_stack(tmp_path_factory.mktemp("nb-runner"))


@pytest.fixture
def stack(bare_stack: Stack) -> Iterator[Stack]:
    """The stack of the first test, up and ready; no run is active."""
    bare_stack.up()
    latest = bare_stack.client.get("/status")
    if latest.is_success and latest.json()["status"] not in ENDED:
        bare_stack.client.post("/cancel")
        bare_stack.wait_for(latest.json()["run_id"], *ENDED)
    yield bare_stack


@pytest.fixture(scope="session")
def stand_ins() -> set[str]:
    """The images that are stand-ins here."""
    return set(os.environ["CONTAINERS_STAND_INS"].split())
