"""Fixtures for all tests, and the order in which their files run."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.workspace import workspace
from tests.support.forks import fork_server
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["fork_server", "postgres_server", "postgres_url"]

collect_ignore = ["fixtures"]  # its graders belong to the small course in it
if "CONTAINERS_STAND_INS" not in os.environ:
    collect_ignore.append("containers")  # `make containers` brings up what they need


@pytest.fixture
def set_workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that sets the folders of the workspace, `course` or `state`, for one test."""

    def set_folders(**folders: Path) -> None:
        for name, folder in folders.items():
            monkeypatch.setenv(f"WORKSHOP_{name.upper()}", str(folder))
        workspace.cache_clear()

    yield set_folders
    workspace.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files by their markers: `longest` first, then `slow`, then the others.

    `make test` gives whole files to four processes, in this order. A long file that begins last
    would run alone, with the other three processes idle. (Sorting is stable: the order of the
    tests within a file stays as it is.)
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    file = item.getparent(pytest.Module)
    marks = {mark.name for mark in file.iter_markers()} if file else set()
    return 0 if "longest" in marks else 1 if "slow" in marks else 2
