"""A database for the notebooks."""

from pathlib import Path

import pytest

from kit.data.seed import load

__all__ = ["flights_db"]


@pytest.fixture(scope="session")
def flights_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all the flights. Tests that write take a copy."""
    path = tmp_path_factory.mktemp("flights") / "flights.db"
    assert load(f"sqlite:///{path}")
    return path
