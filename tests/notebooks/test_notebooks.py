"""The notebooks, checked as their users would check them: `pytest --nbval`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from kit.data.seed import load
from kit.workspace import NOTEBOOKS, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.longest]

SANITIZE = ROOT / "tests" / "notebooks" / "sanitize.cfg"
ALL = (
    "endless.ipynb",
    "flight_delays.ipynb",
    "hello.ipynb",
    "holds_the_gil.ipynb",
    "raises.ipynb",
)


def nbval(*notebooks: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `pytest --nbval` over notebooks."""
    environment = {k: v for k, v in os.environ.items() if k not in {"FENCING_TOKEN", "RUN_ID"}}
    return subprocess.run(
        [
            *[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
            *["-p", "nbval.plugin", "--nbval", "--nbval-sanitize-with", str(SANITIZE)],
            *map(str, notebooks),
        ],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=280,
    )


def read(name: str) -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(NOTEBOOKS / name, as_version=4)
    return notebook


def outputs(cell: nbformat.NotebookNode) -> str:
    """What a cell printed, and its error."""
    return "".join(o.get("text", "") + o.get("evalue", "") for o in cell.outputs)


def execute(notebook: nbformat.NotebookNode, timeout: float) -> None:
    NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": NOTEBOOKS}}).execute()


def test_every_notebook_is_known_here() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == list(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_notebook_is_valid_and_carries_no_trace_of_a_machine(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "alt"}, cell.id
        assert str(ROOT) not in str(cell)


@pytest.mark.parametrize(
    ("name", "unrun"),
    [
        ("hello.ipynb", []),
        ("flight_delays.ipynb", []),
        ("raises.ipynb", ["never"]),
        ("endless.ipynb", ["start", "endless", "never"]),
        ("holds_the_gil.ipynb", ["start", "hold"]),
    ],
)
def test_a_notebook_is_stored_as_it_was_run(name: str, unrun: list[str]) -> None:
    # nbval compares nothing for a cell that was never run, and is content.
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    run = [cell for cell in cells if cell.execution_count is not None]
    assert [cell.execution_count for cell in run] == list(range(1, len(run) + 1))
    assert [cell.id for cell in cells if cell not in run] == unrun


def test_a_fresh_run_gives_what_is_stored_and_what_was_altered_is_caught(tmp_path: Path) -> None:
    cells = 0
    for name, true, false in [
        ("hello", "55", "56"),
        ("raises", "LGA.", "LGB."),
        ("endless", "", ""),
    ]:
        notebook = read(f"{name}.ipynb")
        cells += sum(cell.cell_type == "code" for cell in notebook.cells)
        altered = 0
        for output in (o for c in notebook.cells if c.cell_type == "code" for o in c.outputs):
            for key in ("text", "evalue"):
                if true and true in output.get(key, ""):
                    output[key] = output[key].replace(true, false)
                    altered += 1
        assert altered == bool(true)
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    # The endless one has a cell that nbval is told to skip; it must not hold up the others.
    result = nbval(*(tmp_path / f"{name}.ipynb" for name in ("hello", "raises", "endless")))
    assert f"2 failed, {cells - 3} passed, 1 skipped" in result.stdout, result.stdout


@pytest.mark.thorough
def test_the_flight_delays_are_what_a_fresh_run_gives_and_one_altered_number_is_caught(
    flights_db: Path, tmp_path: Path
) -> None:
    notebook = read("flight_delays.ipynb")
    table = next(cell for cell in notebook.cells if cell.id == "look").outputs[0].data
    assert "20.8" in table["text/plain"]
    table["text/plain"] = table["text/plain"].replace("20.8", "20.7")
    nbformat.write(notebook, tmp_path / "altered.ipynb")
    database = shutil.copy(flights_db, tmp_path / "flights.db")
    result = nbval(tmp_path / "altered.ipynb", DATABASE_URL=f"sqlite:///{database}")
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    assert f"1 failed, {cells - 1} passed" in result.stdout, result.stdout
    assert "20.7" in result.stdout


@pytest.mark.thorough
def test_the_flight_delays_are_the_same_on_postgresql(postgres_url: str) -> None:
    load(postgres_url)
    result = nbval(NOTEBOOKS / "flight_delays.ipynb", DATABASE_URL=postgres_url)
    assert result.returncode == 0, result.stdout


@pytest.mark.thorough
def test_without_flights_the_notebook_says_how_to_load_them(tmp_path: Path) -> None:
    notebook = read("flight_delays.ipynb")
    del notebook.cells[next(i for i, cell in enumerate(notebook.cells) if cell.id == "look") :]
    nbformat.write(notebook, tmp_path / "it.ipynb")
    result = nbval(tmp_path / "it.ipynb", DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    assert result.returncode == 1
    assert "Load them: ./workshop seed" in result.stdout


def test_a_failing_cell_fails_the_run_and_keeps_what_came_before() -> None:
    notebook = read("raises.ipynb")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    with pytest.raises(CellExecutionError, match="No flight left from FRI"):
        execute(notebook, timeout=60)
    works, raises, never = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert "336,776" in outputs(works)
    assert "No flight left from FRI" in outputs(raises)
    assert never.outputs == []
    assert never.execution_count is None


def test_the_endless_notebook_runs_into_its_timeout_in_the_endless_cell() -> None:
    notebook = read("endless.ipynb")
    with pytest.raises(CellTimeoutError, match="while True"):
        execute(notebook, timeout=5)
    start, _, never = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert "a while" in outputs(start)
    assert never.execution_count is None
