"""The notebook's own guard, run out of the notebook: an older run never overwrites a newer one."""

import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from kit.data.seed import database_url
from kit.workspace import NOTEBOOKS

pytestmark = pytest.mark.slow

TIMEOUT = 60


def source(cell_id: str) -> str:
    """The source of a cell of the notebook."""
    notebook = nbformat.read(NOTEBOOKS / "flight_delays.ipynb", as_version=4)
    text: str = next(cell.source for cell in notebook.cells if cell.id == cell_id)
    return text


class Run:
    """A run of the notebook that has come as far as its write."""

    def __init__(self, url: str, run_id: str, token: int) -> None:
        parsed = database_url(url)
        patience = {"timeout": TIMEOUT} if parsed.get_backend_name() == "sqlite" else {}
        self.engine = sa.create_engine(parsed, connect_args=patience, poolclass=NullPool)
        row = {"carrier": "UA", "hour": 9, "flights": 1, "predicted": 2.0, "observed": 3.0}
        self.variables: dict[str, Any] = {
            "engine": self.engine,
            "run_id": run_id,
            "token": token,
            "rows": [row | {"run_id": run_id, "token": token}],
        }
        exec("import sqlalchemy as sa\nfrom contextlib import suppress", self.variables)
        exec(source("tables"), self.variables)

    def write(self) -> None:
        exec(source("write"), self.variables)

    def written(self) -> list[tuple[object, ...]]:
        """Who wrote the rows that are there, and how far the fence has moved."""
        results, fence = self.variables["delay_by_carrier_hour"], self.variables["fence"]
        with self.engine.connect() as db:
            rows = db.execute(sa.select(results.c.run_id, results.c.token)).all()
            fences = db.execute(sa.select(fence.c.name, fence.c.token)).all()
        return [tuple(row) for row in [*rows, *fences]]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'results.db'}"
    postgres: str = request.getfixturevalue("postgres_url")
    return postgres


def test_an_older_run_is_refused_and_changes_nothing(url: str) -> None:
    newer, older = Run(url, "newer", 8), Run(url, "older", 7)
    newer.write()
    before = newer.written()
    assert before == [("newer", 8), ("delay_by_carrier_hour", 8)]
    with pytest.raises(RuntimeError, match="Nothing was written"):
        older.write()
    assert newer.written() == before


def test_a_newer_run_and_the_same_run_again_may_write(url: str) -> None:
    older, newer = Run(url, "older", 7), Run(url, "newer", 8)
    older.write()
    newer.write()
    newer.write()
    assert newer.written() == [("newer", 8), ("delay_by_carrier_hour", 8)]


def test_a_run_that_dies_in_its_write_leaves_the_old_results(url: str) -> None:
    older, newer = Run(url, "older", 7), Run(url, "newer", 8)
    older.write()
    newer.variables["rows"] = [*newer.variables["rows"] * 2]  # the key forbids the second
    with pytest.raises(sa.exc.IntegrityError):
        newer.write()
    assert older.written() == [("older", 7), ("delay_by_carrier_hour", 7)]


def paused(run: Run) -> tuple[threading.Thread, threading.Event]:
    """Start the run's write in a thread that stops after its first statement, whatever that is.

    Returns the thread, and the event that lets it go on.
    """
    stopped, go_on = threading.Event(), threading.Event()

    @sa.event.listens_for(run.engine, "after_cursor_execute")
    def stop(*_: object) -> None:
        if not stopped.is_set():
            stopped.set()
            assert go_on.wait(TIMEOUT)

    thread = threading.Thread(target=run.write)
    thread.start()
    assert stopped.wait(TIMEOUT)
    return thread, go_on


def test_the_first_statement_locks_so_the_other_writer_waits_its_turn(url: str) -> None:
    older, newer = Run(url, "older", 7), Run(url, "newer", 8)
    first, go_on = paused(older)

    began, refused = threading.Event(), []
    sa.event.listen(newer.engine, "begin", lambda _: began.set())

    def write() -> None:
        try:
            newer.write()
        except Exception as error:
            refused.append(error)

    second = threading.Thread(target=write)
    second.start()
    assert began.wait(TIMEOUT)
    second.join(0.5)
    waits = second.is_alive()
    go_on.set()
    first.join(TIMEOUT)
    second.join(TIMEOUT)
    assert waits, "the newer writer did not wait for the transaction that had begun before it"
    assert refused == []
    assert newer.written() == [("newer", 8), ("delay_by_carrier_hour", 8)]


def test_an_older_writer_that_waited_for_a_newer_one_is_refused(url: str) -> None:
    older, newer = Run(url, "older", 7), Run(url, "newer", 8)
    first, go_on = paused(newer)

    refused: list[BaseException] = []

    def write() -> None:
        try:
            older.write()
        except RuntimeError as error:
            refused.append(error)

    second = threading.Thread(target=write)
    second.start()
    go_on.set()
    first.join(TIMEOUT)
    second.join(TIMEOUT)
    assert "Nothing was written" in str(refused[0])
    assert newer.written() == [("newer", 8), ("delay_by_carrier_hour", 8)]


def test_of_many_writers_at_once_the_newest_stays(url: str) -> None:
    runs = [Run(url, f"run {token}", token) for token in range(1, 9)]
    start = threading.Barrier(len(runs))
    strange: list[BaseException] = []

    def write(run: Run) -> None:
        start.wait(TIMEOUT)
        try:
            run.write()
        except RuntimeError:
            pass  # refused: a newer one was first
        except Exception as error:
            strange.append(error)

    threads = [threading.Thread(target=write, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert strange == []
    assert runs[0].written() == [("run 8", 8), ("delay_by_carrier_hour", 8)]


def test_by_hand_each_run_takes_a_larger_number(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FENCING_TOKEN", "RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    run = Run(url, "by hand", 0)
    exec("import os", run.variables)
    taken = []
    for _ in range(3):
        exec(source("token"), run.variables)
        taken.append(run.variables["token"])
        with run.engine.begin() as db:  # a number that was deleted does not come back
            db.execute(sa.delete(run.variables["fencing_tokens"]))
    assert taken == sorted(set(taken))


def test_the_runners_number_is_taken_as_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENCING_TOKEN", "41")
    monkeypatch.setenv("RUN_ID", "f00dcafe")
    run = Run(url, "", 0)
    exec("import os", run.variables)
    exec(source("token"), run.variables)
    assert (run.variables["token"], run.variables["run_id"]) == (41, "f00dcafe")
    with run.engine.connect() as db:
        assert db.execute(sa.select(run.variables["fencing_tokens"])).all() == []
