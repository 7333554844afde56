"""Notebooks as people write them: the same outcome as `jupyter execute`, or a sentence why not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.e2e.runner import Runner, start_runner, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}


def code(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": list(tags)} if tags else {},
        "outputs": [],
        "source": source,
    }


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def book(*cells: dict[str, Any], minor: int = 4, kernel: Any = PYTHON) -> dict[str, Any]:
    metadata = {"kernelspec": kernel} if kernel else {}
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


VERSION_3: dict[str, Any] = {
    "metadata": {"name": "old"},
    "nbformat": 3,
    "nbformat_minor": 0,
    "worksheets": [
        {
            "cells": [
                {
                    "cell_type": "code",
                    "collapsed": False,
                    "input": "print('from 2013')",
                    "language": "python",
                    "metadata": {},
                    "outputs": [],
                },
                {"cell_type": "heading", "level": 1, "metadata": {}, "source": "Once"},
            ],
            "metadata": {},
        }
    ],
}
DISPLAY = "from IPython.display import display, HTML, clear_output\n"
GOOD = {
    "no kernelspec": book(code("print(1)"), kernel=None),
    "an error that a tag allows": book(code("1/0", "raises-exception"), code("print('on')")),
    "a cell that a tag skips": book(code("1/0", "skip-execution"), code("print('on')")),
    "display updates": book(
        code(DISPLAY + "handle = display('first', display_id=True)"), code("handle.update('last')")
    ),
    "output that is cleared": book(
        code(DISPLAY + "print('gone')\nclear_output(wait=True)\nprint('stays')")
    ),
    "a widget": book(
        code("import ipywidgets\nipywidgets.IntSlider(value=3, description='how many')")
    ),
    "HTML and data": book(code(DISPLAY + "display(HTML('<b>bold</b>'), {'a': 1})")),
    "huge outputs": book(code("for _ in range(20): print('x' * 500_000)"), code("'y' * 1_000_000")),
    "a hundred thousand lines": book(code("for i in range(100_000): print(i)")),
    "unicode": book(code("print('Zürich, 東京, עברית, 🛫')\nπ = 3; π"), markdown("ünïcödé")),
    "zero cells": book(),
    "markdown only": book(markdown("# Nothing to run")),
    "empty cells": book(code(""), code("  \n"), code("print('here')")),
    "a raw cell": book({"cell_type": "raw", "metadata": {}, "source": "raw"}, code("print(1)")),
    "nbformat 3": VERSION_3,
    "nbformat 4.0": book(code("print('4.0')"), minor=0),
    "nbformat 4.5 without ids": book(code("print('4.5')"), minor=5),
    "await": book(code("import asyncio\nawait asyncio.sleep(0)\nprint('awaited')")),
    "magics and shells": book(
        code("%env HELLO=you"), code("!echo $HELLO"), code("%%sh\necho shell")
    ),
    "standard error": book(code("import sys\nprint('careful', file=sys.stderr)")),
}
# Those whose pages differ by more than words. (To make one takes a second.)
AS_A_PAGE = (
    *("an error that a tag allows", "a widget", "HTML and data", "huge outputs", "unicode"),
    *("zero cells", "markdown only", "a raw cell", "nbformat 3", "nbformat 4.0"),
)
BAD = {
    "another language's kernel": (
        book(code("1"), kernel={"name": "ir", "display_name": "R", "language": "R"}),
        "wants the kernel 'ir', which is not installed",
    ),
    "input": (book(code("input('who? ')")), "Cell 1 of 1 raised StdinNotImplementedError"),
    "an error": (book(code("print(1)"), code("1/0")), "Cell 2 of 2 raised ZeroDivisionError"),
    "a syntax error": (book(code("print 1")), "Cell 1 of 1 raised SyntaxError"),
    "exit with a code": (book(code("import sys; sys.exit(3)")), "Cell 1 of 1 raised SystemExit: 3"),
    "an error that is not Unicode": (book(code("raise ValueError('\\ud800')")), "Cell 1 of 1"),
}


@pytest.fixture(scope="module")
def anything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner whose notebook can be replaced: each run reads it anew."""
    folder = tmp_path_factory.mktemp("kinds")
    notebook = write_notebook(folder / "it.ipynb", "1")
    with start_runner(folder, notebook=notebook) as runner:
        yield runner


def jupyter_execute(*notebooks: Path) -> int:
    """What Jupyter's own command makes of them: its exit code. It writes to by_jupyter_NAME."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("jupyter-execute"),
            *("--output", "by_jupyter_{notebook_name}"),
            *notebooks,
        ],
        capture_output=True,
    )
    return done.returncode


@pytest.fixture(scope="module")
def by_jupyter(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nbformat.NotebookNode]:
    """What Jupyter's own command made of each of the good ones."""
    folder = tmp_path_factory.mktemp("jupyter")
    names = {kind: f"{number}.ipynb" for number, kind in enumerate(GOOD)}
    for kind, name in names.items():
        (folder / name).write_text(json.dumps(GOOD[kind]), encoding="utf-8")
    books = [folder / name for name in names.values()]
    # Once more if it fails: its kernel's ports may be taken by another program before it starts.
    assert jupyter_execute(*books) == 0 or jupyter_execute(*books) == 0
    return {
        kind: nbformat.read(folder / f"by_jupyter_{name}", as_version=4)
        for kind, name in names.items()
    }


def outputs(notebook: nbformat.NotebookNode) -> list[Any]:
    """Outputs cell by cell; the pieces that a stream came in are put together again."""
    cells = []
    for cell in notebook.cells:
        parts: list[Any] = []
        for output in cell.get("outputs", []):
            if parts and "text" in output and parts[-1].get("name") == output.get("name"):
                parts[-1]["text"] += output["text"]
            else:
                parts.append(dict(output))
        cells.append([(part.get("text"), part.get("data"), part.get("ename")) for part in parts])
    # A widget has a new id each time.
    text = json.dumps(cells, default=str)
    return [len(text) if "widget-view" in text else cells]


@pytest.mark.parametrize("kind", GOOD)
def test_what_jupyter_runs_we_run_and_with_the_same_outputs(
    anything: Runner, kind: str, by_jupyter: dict[str, nbformat.NotebookNode]
) -> None:
    run = run_on(anything, GOOD[kind])
    kept = anything.artifacts / run["run_id"] / "executed.ipynb"
    assert outputs(nbformat.read(kept, as_version=4)) == outputs(by_jupyter[kind])
    assert run["cells_done"] == run["cells_total"]
    if kind not in AS_A_PAGE:
        return
    html = anything.client.get(f"/output/{run['run_id']}?format=html", timeout=90)
    assert html.status_code == 200
    # A widget comes with scripts of its own, which the page's rules keep from running.
    assert "<script" not in html.text or kind == "a widget"


@pytest.mark.parametrize("kind", BAD)
def test_what_jupyter_fails_on_we_fail_on_in_words(anything: Runner, kind: str) -> None:
    cells, words = BAD[kind]
    run = run_on(anything, cells, "FAILED")
    assert words in run["error"]
    assert jupyter_execute(Path(anything.env["NOTEBOOK_PATH"])) != 0


def run_on(runner: Runner, cells: dict[str, Any], *statuses: str) -> dict[str, Any]:
    """A run of this notebook, once it has ended."""
    Path(runner.env["NOTEBOOK_PATH"]).write_text(json.dumps(cells), encoding="utf-8")
    return runner.run(*statuses)
