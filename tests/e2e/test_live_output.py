"""What a run has put out can be read while it runs, and its files when it has left them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.runner import PRODUCT, Runner, start_runner, wait_until, write_notebook

pytestmark = pytest.mark.slow

WAIT = """
import time
from pathlib import Path
while not Path("go").exists():
    time.sleep(0.01)
"""
CELLS = (
    "print('first'); print('50%', end='', flush=True); print(' 100%')",
    "from IPython.display import clear_output\n"
    "print('gone'); clear_output(); print('\\x1b]0;title\\x07stays', flush=True)" + WAIT,
    "print('third')",
)
LEAVE = """
import os
folder = os.environ["OUTPUT_DIR"]
os.mkdir(f"{folder}/more")
open(f"{folder}/a report.csv", "w").write("a,b")
open(f"{folder}/more/page.html", "w").write("<script>alert(1)</script>")
os.symlink("/etc/passwd", f"{folder}/link")
os.symlink("/etc", f"{folder}/linked")
os.symlink("../executed.ipynb", f"{folder}/inside")
os.mkfifo(f"{folder}/pipe")
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Two API processes, none of which runs a notebook."""
    folder = tmp_path_factory.mktemp("live")
    notebook = write_notebook(folder / "it.ipynb", *CELLS)
    with start_runner(folder, notebook=notebook, api=2) as runner:
        yield runner


def test_the_output_of_a_run_is_read_and_followed_while_it_runs(runner: Runner) -> None:
    notebook = write_notebook(Path(runner.env["NOTEBOOK_PATH"]), *CELLS)
    run_id = runner.start()
    output = f"/output/{run_id}"
    so_far = "first\n50% 100%\nstays\n"
    wait_until(lambda: runner.client.get(output).text == so_far, "the output so far", 60)
    assert runner.status(run_id)["status"] == "RUNNING"
    assert runner.client.get(output, params={"cell": 1}).text == "first\n50% 100%\n"
    assert runner.client.get(output, params={"cell": 2}).text == "stays\n"
    assert runner.client.get(output, params={"cell": 3}).text == ""
    assert runner.client.get(output, params={"cell": 0}).status_code == 422

    pieces = []
    with runner.client.stream("GET", output, params={"follow": True}) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert "sandbox" in answer.headers["content-security-policy"]
        for piece in answer.iter_text():
            pieces.append(piece)
            if "stays" in "".join(pieces):
                (notebook.parent / "go").touch()
    assert "".join(pieces) == "first\n50% 100%\ngone\nstays\nthird\n"

    runner.wait_for(run_id, "SUCCEEDED")
    for follow in (False, True):
        for cell, text in ((None, so_far + "third\n"), (2, "stays\n"), (9, "")):
            params = {"follow": follow} | ({} if cell is None else {"cell": cell})
            assert runner.client.get(output, params=params).text == text
    assert not (runner.artifacts / run_id / "live.jsonl").exists()


def test_who_follows_the_output_notices_that_the_api_was_told_to_stop(runner: Runner) -> None:
    notebook = write_notebook(Path(runner.env["NOTEBOOK_PATH"]), *CELLS)
    go = notebook.parent / "go"
    go.unlink(missing_ok=True)
    run_id = runner.start()
    text = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        runner.client.stream("GET", f"/output/{run_id}", params={"follow": True}) as answer,
    ):
        for piece in answer.iter_text():
            text += piece
            if "stays" in text:
                for api in runner.apis:
                    api.signal(signal.SIGTERM)
    for number in range(2):
        runner.restart_api(number, runner.env)
    go.touch()
    runner.wait_for(run_id, "SUCCEEDED")
    assert runner.client.get(f"/output/{run_id}").text.endswith("stays\nthird\n")


def test_files_of_a_run_are_listed_and_downloaded_and_nothing_else_is(runner: Runner) -> None:
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), LEAVE)
    run = runner.run()
    assert run["files"] == [
        {"name": "a report.csv", "size": 3},
        {"name": "more/page.html", "size": 25},
    ]
    assert runner.client.get("/runs").json()[0] == run
    files = f"/output/{run['run_id']}/files"
    page = runner.client.get(f"{files}/more/page.html")
    assert page.text == "<script>alert(1)</script>"
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in page.headers["content-security-policy"]
    assert runner.client.get(f"{files}/a%20report.csv").text == "a,b"
    for name in (
        *("link", "linked/passwd", "inside", "pipe", "more", "none", "", "more/.", "%00"),
        *("%2Fetc/passwd", "..%2Fexecuted.ipynb", "more%2F..%2F..%2Fexecuted.ipynb", "..%2F.."),
    ):
        assert runner.client.get(f"{files}/{name}").status_code == 404, name


def test_a_folder_that_became_a_link_leads_nowhere(runner: Runner) -> None:
    swap = "import os; f = os.environ['OUTPUT_DIR']; os.rmdir(f); os.symlink('/etc', f)"
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), swap)
    run = runner.run()
    assert (runner.artifacts / run["run_id"] / "files").is_symlink()
    assert run["files"] == []
    assert runner.client.get(f"/output/{run['run_id']}/files/passwd").status_code == 404


def test_no_form_of_the_output_leads_out_of_the_folder_of_its_run(runner: Runner) -> None:
    notebook = Path(runner.env["NOTEBOOK_PATH"])
    secret = notebook.with_name("secret")
    secret.write_text("of the API only")
    place = "os.environ['OUTPUT_DIR'] + '/../report.html'"
    plant = f"import os; os.symlink({str(secret)!r}, {place}); print('a run')"
    write_notebook(notebook, plant)
    run_id = runner.run()["run_id"]
    output = f"/output/{run_id}"
    folder = runner.artifacts / run_id
    assert (folder / "report.html").is_symlink()

    def asked(form: str) -> tuple[int, str]:
        answer = runner.client.get(output, params={"format": form}, timeout=90)
        assert "of the API only" not in answer.text, form
        return answer.status_code, answer.text

    status, page = asked("html")
    assert status == 200
    assert "a run" in page
    assert not (folder / "report.html").is_symlink()
    assert secret.read_text() == "of the API only"

    # The cell of a later run could do this.
    for name, form in (("output.txt", "text"), ("executed.ipynb", "ipynb")):
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
        assert asked(form)[0] == 404
    assert asked("html")[0] == 404


PLANT_AND_RENDER = """
import os, sys
from pathlib import Path
from nb_runner.output.report import render

page, secret = map(Path, sys.argv[1:])
os.symlink(secret, page.with_suffix(f".{os.getpid()}"))
render(sys.stdin.buffer, page, page.parent)
"""


def test_a_page_is_not_written_through_a_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the API only")
    with write_notebook(tmp_path / "it.ipynb", "1").open("rb") as notebook:
        done = subprocess.run(
            [sys.executable, "-c", PLANT_AND_RENDER, str(tmp_path / "report.html"), str(secret)],
            cwd=PRODUCT.path,
            stdin=notebook,
            capture_output=True,
            text=True,
        )
    assert "FileExistsError" in done.stderr
    assert secret.read_text() == "of the API only"
