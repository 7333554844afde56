"""`./workshop demo`, as a user sees it. One full run for the whole file; the others are short."""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import nbformat
import pytest

from kit.workspace import NOTEBOOKS, ROOT
from tests.support.first_run import DemoResult, clean_environment, run_to_end
from tests.support.first_run import first_demo as first_demo
from tests.support.processes import Mark, eventually

pytestmark = pytest.mark.slow

RUN_ID = r"\d{8}-\d{6}-[0-9a-f]{6}"


@pytest.fixture
def demo(first_demo: DemoResult) -> DemoResult:
    return first_demo


@pytest.fixture
def seeded(demo: DemoResult, tmp_path: Path) -> Path:
    """A folder for logs and data that has the flights already."""
    shutil.copy(demo.clone / ".workshop" / "flights.db", tmp_path)
    return tmp_path


def run_demo(state: Path, *words: str, **more: str) -> DemoResult:
    command = [sys.executable, "-m", "kit", "demo", *words]
    return run_to_end(ROOT, command, WORKSHOP_STATE=str(state), **more)


def test_the_demo_ends_well_and_leaves_nothing_running(demo: DemoResult) -> None:
    assert demo.exit_code == 0, demo.output
    assert "SUCCEEDED" in demo.output
    assert demo.left_running == []


def test_the_second_start_is_refused_and_names_the_active_run(demo: DemoResult) -> None:
    first, refused = re.findall(r"POST /start .* → (\d+ .+)\n +(\{.*\})", demo.output)
    assert (first[0], refused[0]) == ("202 Accepted", "409 Conflict")
    run_id = json.loads(first[1])["run_id"]
    assert re.fullmatch(RUN_ID, run_id)
    assert json.loads(refused[1])["running"] == run_id


def test_every_cell_is_told_of_once_in_a_pipe_and_in_no_colour(demo: DemoResult) -> None:
    told = re.findall(r"cells? (\d+)(?: to (\d+))? of (\d+) done", demo.output)
    cells = [cell for first, last, _ in told for cell in range(int(first), int(last or first) + 1)]
    book = nbformat.read(NOTEBOOKS / "flight_delays.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert cells == list(range(1, len(code) + 1))
    assert "\x1b" not in demo.output


def test_the_table_shows_what_is_in_the_database(demo: DemoResult) -> None:
    with closing(sqlite3.connect(demo.clone / ".workshop" / "flights.db")) as database:
        worst = database.execute(
            "SELECT hour, flights, predicted, observed FROM delay_by_carrier_hour "
            "WHERE flights >= 100 ORDER BY observed DESC LIMIT 10"
        ).fetchall()
    shown = re.findall(r"│ +(\d+):00 │ +([\d,]+) │ +([-\d.]+) │ +([-\d.]+) │", demo.output)
    assert shown == [
        (str(hour), f"{flights:,}", f"{predicted:.1f}", f"{observed:.1f}")
        for hour, flights, predicted, observed in worst
    ]
    assert len(shown) == 10


def test_the_executed_notebook_and_its_page_are_where_the_demo_says(demo: DemoResult) -> None:
    notebook, page = (
        demo.clone / path for path in re.findall(r"^ +(\S+/demo/\S+)$", demo.output, re.MULTILINE)
    )
    assert (notebook.suffix, page.suffix) == (".ipynb", ".html")
    book = nbformat.read(notebook, as_version=4)
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code")
    assert "data:image/png;base64," in page.read_text(encoding="utf-8")


def test_a_run_that_fails_makes_exit_code_1_and_shows_why(seeded: Path) -> None:
    failed = run_demo(seeded, "--notebook", str(NOTEBOOKS / "raises.ipynb"))
    assert failed.exit_code == 1, failed.output
    assert "already in" in failed.output
    assert "FAILED" in failed.output
    assert "The run did not succeed: " in failed.output
    assert re.search(r"^  \| .*Run .* FAILED", failed.output, re.MULTILINE), failed.output
    assert "Traceback" not in failed.output.partition("The end of")[0]
    assert failed.left_running == []


def test_ctrl_c_ends_it_in_order_and_leaves_nothing_running(seeded: Path) -> None:
    mark = Mark()
    log = seeded / "output"
    with log.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "kit", "demo", "--notebook", str(NOTEBOOKS / "endless.ipynb")],
            cwd=ROOT,
            env=clean_environment(mark, WORKSHOP_STATE=str(seeded)),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "/events → 200" in log.read_text(), "the run to be followed", 120)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    finally:
        running.kill()
        running.wait()
    assert "Interrupted, and stopped." in log.read_text()
    assert "Traceback" not in log.read_text()
    assert mark.commands() == []


def test_an_imitation_of_redis_is_refused_before_anything_starts(tmp_path: Path) -> None:
    refused = run_demo(tmp_path, WORKSHOP_REDIS="fakeredis")
    assert refused.exit_code == 2
    assert "needs a real Redis" in refused.output
    assert "apt install redis-server" in refused.output
    assert not (tmp_path / "flights.db").exists()


def test_a_notebook_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = run_demo(tmp_path, "--notebook", "nowhere.ipynb")
    assert refused.exit_code == 2
    assert "there is no notebook nowhere.ipynb" in refused.output
