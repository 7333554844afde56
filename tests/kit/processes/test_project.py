"""What a project's processes are started with."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from kit.data.seed import database_url
from kit.processes.project import project_env

UGLY = "[a] $HOME x#y x:y a?b a%20b;&='zoë"


def test_the_database_is_in_the_folder_of_the_state_whatever_its_name(tmp_path: Path) -> None:
    env = project_env({}, redis_url="", state=tmp_path / UGLY)
    assert make_url(env["DATABASE_URL"]).database == str(tmp_path / UGLY / "flights.db")


def test_the_seed_and_the_runner_use_the_same_database(
    tmp_path: Path, set_workspace: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    set_workspace(state=tmp_path / UGLY)
    assert database_url().database == str(tmp_path / UGLY / "flights.db")
