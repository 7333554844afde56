"""Fixtures for all tests, and in which order their files are run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.workspace import workspace
from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

collect_ignore = ["fixtures"]  # its graders belong to the small course in it

# The longest first: begun last, one of them would keep a lane busy when all others are done.
FIRST = (
    *("mistakes", "session", "failure_modes", "compose", "notebooks_of_all_kinds", "slides"),
    *("class_of_forty", "grade", "readme", "notebooks", "watch", "run", "labs", "single_run"),
    *("copying", "check", "chaos", "bad_input", "seed", "pack", "handbook", "break", "page"),
    *("settings", "starters", "demo", "lab", "12_survive_a_crash", "verbs", "lock", "templates"),
    *("bootstrap", "calls", "outcomes", "sandbox", "13_ship_it", "doctor", "home"),
)


@pytest.fixture
def set_workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets the folders of the workspace, `course` or `state` or both, for one test."""

    def set_folders(**folders: Path) -> None:
        for name, folder in folders.items():
            monkeypatch.setenv(f"WORKSHOP_{name.upper()}", str(folder))
        workspace.cache_clear()

    yield set_folders
    workspace.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files. (Sorting is stable: within a file, nothing changes.)"""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return FIRST.index(name) if name in FIRST else len(FIRST)
