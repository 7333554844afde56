"""Small things that people trip over: lines, tracebacks, pictures, sys.exit()."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.e2e.runner import Runner, start_runner, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

PICTURE = base64.b64decode(  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OWN_TRACEBACK = """
class Quiet(Exception):
    def _render_traceback_(self):
        return None
raise Quiet("no more to say")
"""


OWN_HANDLER = """
def told(shell, kind, error, traceback, tb_offset=None):
    print("handled:", error)
get_ipython().set_custom_exc((ValueError,), told)
raise ValueError("odd")
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("small")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "dot.png").write_bytes(PICTURE)
    (folder / "secret.txt").write_text("not of the notebook's folder")
    notebook = write_notebook(folder / "it.ipynb", "1")
    with start_runner(folder, notebook=notebook) as runner:
        yield runner


def run_cells(
    runner: Runner, *cells: str, status: str = "SUCCEEDED"
) -> tuple[dict[str, object], str]:
    """A run of these cells: its record, and its text."""
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), *cells)
    run = runner.run(status)
    return run, runner.client.get(f"/output/{run['run_id']}").text


def test_33_a_line_that_is_printed_in_pieces_is_one_line(runner: Runner) -> None:
    pieces = "print('50%', end='', flush=True); print(' 100%', flush=True); print('next')"
    run, text = run_cells(runner, pieces, "print('no end of line', end='')", "'a result'")
    assert text == "50% 100%\nnext\nno end of line\n'a result'\n"
    kept = json.loads((runner.artifacts / str(run["run_id"]) / "executed.ipynb").read_text())
    assert len(kept["cells"][0]["outputs"]) == 1


def test_33_a_traceback_that_is_null_is_an_error_like_any_other(runner: Runner) -> None:
    run, text = run_cells(runner, OWN_TRACEBACK, status="FAILED")
    assert run["error"] == "Cell 1 of 1 raised Quiet: no more to say"
    assert text == "Quiet: no more to say\n"


def test_33_an_error_that_a_handler_of_the_notebook_takes_fails_the_run(runner: Runner) -> None:
    run, text = run_cells(runner, OWN_HANDLER, "print('not reached')", status="FAILED")
    assert run["reason"] == "cell_error"
    assert str(run["error"]).startswith("Cell 1 of 2 raised ValueError: odd")
    assert "handled: odd" in text and "not reached" not in text


@pytest.mark.parametrize("code", ["exit()", "quit()", "exit", "exit(keep_kernel=True)"])
def test_33_exit_and_quit_end_the_notebook_as_sys_exit_does(runner: Runner, code: str) -> None:
    run, text = run_cells(runner, "print('first')", code, "import time; time.sleep(1)", "1")
    assert run["cells_done"] == 2
    assert text.startswith("first\n")
    failed, _ = run_cells(runner, "exit(3)", status="FAILED")
    assert failed["error"] == "Cell 1 of 1 raised SystemExit: 3"
    failed, _ = run_cells(runner, "raise KeyboardInterrupt", "1", status="FAILED")
    assert failed["error"] == "Cell 1 of 2 raised KeyboardInterrupt: "
    # A kernel that is on its way out would not take the next run.
    assert run_cells(runner, "1")[0]["cells_done"] == 1


def test_33_a_display_of_nothing_costs_no_other_output(runner: Runner) -> None:
    nothing = "from IPython.display import publish_display_data as show\nshow({'text/plain': None})"
    _, text = run_cells(runner, "print('first')", nothing, "print('last')")
    assert "first" in text and "last" in text


def test_33_chunks_of_two_streams_are_no_lines(runner: Runner) -> None:
    chunk = "print('.', end='', flush=True, file={})"
    loop = "\n    ".join(
        ["for _ in range(20):", chunk.format("sys.stdout"), chunk.format("sys.stderr")]
    )
    _, text = run_cells(runner, f"import sys\n{loop}")
    assert text.count("\n") == 1


def test_33_a_long_tmpdir_is_passed_over_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / ("far" * 20)
    far.mkdir()
    monkeypatch.setenv("TMPDIR", str(far))
    with start_runner(tmp_path, notebook=write_notebook(tmp_path / "it.ipynb", "1")) as runner:
        runner.run()


@pytest.mark.parametrize(
    ("code", "status"),
    [("0", "SUCCEEDED"), ("", "SUCCEEDED"), ("1", "FAILED"), ("'no data'", "FAILED")],
)
def test_33_sys_exit_ends_the_notebook_as_it_ends_a_program(
    runner: Runner, code: str, status: str
) -> None:
    cells = ("print('first')", f"import sys; sys.exit({code})", "print('never')")
    run, text = run_cells(runner, *cells, status=status)
    assert run["cells_done"] == (2 if status == "SUCCEEDED" else 1)
    assert text.startswith("first\n")
    assert "never" not in text


def test_33_pictures_beside_the_notebook_are_in_the_page(runner: Runner) -> None:
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("![A dot](pictures/dot.png) ![No](../secret.txt)"),
            nbformat.v4.new_code_cell("1"),
        ]
    )
    nbformat.write(book, Path(runner.env["NOTEBOOK_PATH"]))
    run = runner.run()
    page = runner.client.get(f"/output/{run['run_id']}?format=html", timeout=90)
    assert page.status_code == 200
    assert f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}" in page.text
    assert "data:text/plain" not in page.text
