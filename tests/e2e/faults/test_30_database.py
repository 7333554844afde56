"""A database that cannot issue fencing tokens: refused at the start, or said in the run."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import GATE
from tests.e2e.runner import (
    PRODUCT,
    TIMEOUT,
    Runner,
    send_message,
    start_runner,
    wait_until,
    write_notebook,
)

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

API = ("uvicorn", "nb_runner.main:app", "--port", "0")
WORKER = ("celery", "-A", "nb_runner.tasks", "worker")
REFUSED = {
    "sqlite://": "a database in memory forgets each number",
    "sqlite:///:memory:": "a database in memory forgets each number",
    "sqlite:///file:it?mode=memory&uri=true": "a database in memory forgets each number",
    "sqlite:///file::memory:?uri=true": "a database in memory forgets each number",
    "mysql://ada:secret@127.0.0.1/flights": "its driver is not installed (No module named",
    "sqlite+pysqlcipher://:secret@/it.db": "its driver is not installed (No module named",
}

WRITE = """
import os, sqlite3
token = int(os.environ["FENCING_TOKEN"])
with sqlite3.connect("results.db") as database:
    database.execute("CREATE TABLE IF NOT EXISTS fence (token INTEGER)")
    if not database.execute("SELECT * FROM fence").fetchall():
        database.execute("INSERT INTO fence VALUES (0)")
    newer = database.execute("UPDATE fence SET token = ? WHERE token <= ?", (token, token))
    assert newer.rowcount == 1, "a newer run has written"
"""


@pytest.mark.parametrize("program", [API, WORKER], ids=["api", "worker"])
@pytest.mark.parametrize("url", REFUSED)
def test_30_a_database_that_cannot_issue_tokens_is_refused_at_the_start(
    program: tuple[str, ...], url: str
) -> None:
    started = subprocess.run(
        [sys.executable, "-m", *program],
        cwd=PRODUCT.path,
        env=os.environ | {"NOTEBOOK_PATH": "hello.ipynb", "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = started.stdout + started.stderr
    assert started.returncode != 0
    assert "DATABASE_URL is" in told
    assert REFUSED[url] in told
    assert "Traceback" not in told
    assert "secret" not in told


@pytest.fixture(scope="module")
def fenced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner with two workers, whose notebook waits at a gate and then writes under a fence."""
    folder = tmp_path_factory.mktemp("fenced")
    notebook = write_notebook(folder / "it.ipynb", "1", GATE, WRITE)
    with start_runner(folder, notebook=notebook, workers=2, env={"LEASE_SECONDS": "6"}) as runner:
        yield runner


def test_30_a_locked_database_fails_the_run_with_a_reason_before_its_lease_ends(
    fenced: Runner,
) -> None:
    file = fenced.env["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        error = fenced.run("FAILED")["error"]
    assert "The database (DATABASE_URL) issued no fencing token" in error
    assert "locked" in error


def test_30_a_token_for_a_message_that_claims_nothing_keeps_nobody_out(fenced: Runner) -> None:
    run_id = fenced.start()
    fenced.wait_for_cell(run_id, 1)
    send_message(fenced.env["REDIS_URL"], run_id)
    wait_until(
        lambda: any("is not to be claimed" in worker.output() for worker in fenced.workers),
        "the second message to be refused",
        TIMEOUT,
    )
    Path(fenced.env["NOTEBOOK_PATH"]).with_name("gate").touch()
    first = fenced.wait_for(run_id, "SUCCEEDED")
    assert fenced.run()["token"] > first["token"] + 1
