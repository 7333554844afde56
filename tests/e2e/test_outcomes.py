"""How notebooks end, what the run says of it, and what is kept."""

import json
from pathlib import Path

import pytest

from tests.e2e.runner import Runner, start_runner, write_notebook

pytestmark = pytest.mark.slow


def run_to_the_end(folder: Path, *cells: str, **env: str) -> tuple[Runner, dict[str, object], str]:
    """One run of a notebook of these cells that has to fail: the runner, the run, its output."""
    notebook = write_notebook(folder / "it.ipynb", *cells)
    with start_runner(folder, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        output = runner.client.get(f"/output/{run['run_id']}").text
        return runner, run, output


def test_a_cell_that_raises_fails_the_run_and_keeps_what_came_before(tmp_path: Path) -> None:
    cells = ("print('first')", "raise ValueError('no such carrier')", "print('never')")
    runner, run, output = run_to_the_end(tmp_path, *cells)
    assert run["error"] == "Cell 2 of 3 raised ValueError: no such carrier"
    assert run["cells_done"] == 1
    assert output.startswith("first\n")
    assert "ValueError: no such carrier" in output
    assert "never" not in output
    assert "\x1b" not in output, "colours are for terminals"
    kept = json.loads((runner.artifacts / str(run["run_id"]) / "executed.ipynb").read_text())
    assert kept["cells"][1]["outputs"][0]["ename"] == "ValueError"


def test_a_database_that_is_away_fails_the_run_before_it_starts(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "open('ran', 'w')")
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/no/such/folder/x.db"}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        assert "DATABASE_URL" in run["error"]
        assert not (tmp_path / "ran").exists()


def test_a_notebook_gets_the_database_but_none_of_the_runners_secrets(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "it.ipynb",
        "import os; print(os.environ['DATABASE_URL'])",
        "print([v for v in ('RUNNER_API_KEY', 'REDIS_URL') if v in os.environ])",
    )
    with start_runner(tmp_path, notebook=notebook, env={"RUNNER_API_KEY": "open sesame"}) as runner:
        run = runner.run()
        output = runner.client.get(f"/output/{run['run_id']}").text
        assert output == f"{runner.env['DATABASE_URL']}\n[]\n"
