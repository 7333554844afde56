"""Fixtures for all tests, and in which order their files are run."""

import pytest

from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

# The longest first: begun last, one of them would keep a lane busy when all others are done.
FIRST = (
    *("mistakes", "session", "copying", "slides", "failure_modes", "compose", "grade", "chaos"),
    *("notebooks_of_all_kinds", "labs", "notebooks", "handbook", "readme", "class_of_forty"),
    *("watch", "run", "check", "single_run", "page", "seed", "bad_input", "settings", "demo"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files. (Sorting is stable: within a file, nothing changes.)"""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return FIRST.index(name) if name in FIRST else len(FIRST)
