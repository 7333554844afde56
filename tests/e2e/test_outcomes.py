"""How notebooks end, what the run says of it, and what is kept."""

import json
from pathlib import Path

import pytest

from tests.e2e.runner import Runner, start_runner, write_notebook


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


def test_a_cell_that_never_ends_is_stopped_by_cell_timeout(tmp_path: Path) -> None:
    cells = ("print('first', flush=True)", "while True: pass")
    _, run, output = run_to_the_end(tmp_path, *cells, CELL_TIMEOUT="1")
    assert run["error"] == "Cell 2 of 2 ran for longer than CELL_TIMEOUT: 1 s."
    assert output == "first\n"


def test_a_cell_that_kills_its_kernel_fails_the_run_in_words(tmp_path: Path) -> None:
    _, run, output = run_to_the_end(tmp_path, "print('first')", "import os; os._exit(1)")
    assert "Cell 2 of 2: the kernel died" in str(run["error"])
    assert output == "first\n"


def test_a_database_that_is_away_fails_the_run_before_it_starts(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "open('ran', 'w')")
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/no/such/folder/x.db"}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        assert "DATABASE_URL" in run["error"]
        assert not (tmp_path / "ran").exists()


def test_each_run_gets_a_fresh_notebook_a_fresh_kernel_and_a_newer_token(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "it.ipynb",
        "import os, pathlib; seen = globals().get('seen', 0) + 1; print(seen)",
        "assert not pathlib.Path('break').exists()",
        "print('last cell, run', os.environ['RUN_ID'])",
    )
    with start_runner(tmp_path, notebook=notebook) as runner:
        first = runner.run()
        (tmp_path / "break").touch()
        broken = runner.run("FAILED")
        (tmp_path / "break").unlink()
        last = runner.run()
        outputs = [runner.client.get(f"/output/{r['run_id']}").text for r in (first, broken, last)]
        assert outputs[0] == f"1\nlast cell, run {first['run_id']}\n"
        assert "last cell" not in outputs[1], "no output of an earlier run"
        assert outputs[2] == f"1\nlast cell, run {last['run_id']}\n"
        assert first["token"] < broken["token"] < last["token"]
        assert 'outputs": []' in notebook.read_text(), "the deployed notebook is not written to"


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


UNUSABLE = {
    "missing": (None, "There is no notebook"),
    "not JSON": ("hello", "it is not JSON"),
    "not a notebook": ('{"cells": 3}', "is not a notebook"),
    "for a kernel that is not there": (
        json.dumps(
            {
                "cells": [],
                "metadata": {"kernelspec": {"name": "cobol", "display_name": "COBOL"}},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        ),
        "wants the kernel 'cobol'",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_notebook_that_cannot_be_used_is_said_at_start_up_by_ready_and_by_the_run(
    tmp_path: Path, kind: str
) -> None:
    text, words = UNUSABLE[kind]
    notebook = tmp_path / "it.ipynb"
    write_notebook(notebook, "1")
    if text is None:
        notebook.unlink()
    else:
        notebook.write_text(text)
    with start_runner(tmp_path, notebook=notebook) as runner:
        run = runner.run("FAILED")
        assert words in run["error"]
        ready = runner.client.get("/ready")
        assert ready.status_code == 503
        assert words in ready.json()["notebook"]
        assert words in runner.workers[0].output()
        assert words in runner.apis[0].output()
