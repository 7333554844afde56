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
BAD = {
    "another language's kernel": (
        book(code("1"), kernel={"name": "ir", "display_name": "R", "language": "R"}),
        "wants the kernel 'ir', which is not installed",
    ),
    "input": (book(code("input('who? ')")), "Cell 1 of 1 raised StdinNotImplementedError"),
    "an error": (book(code("print(1)"), code("1/0")), "Cell 2 of 2 raised ZeroDivisionError"),
    "a syntax error": (book(code("print(")), "Cell 1 of 1 raised SyntaxError"),
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


def jupyter_execute(notebook: Path) -> tuple[int, nbformat.NotebookNode | None]:
    """What Jupyter's own command makes of it: exit code, executed notebook."""
    executed = notebook.with_name("by_jupyter.ipynb")
    executed.unlink(missing_ok=True)
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-execute"), "--output", "by_jupyter", notebook],
        cwd=notebook.parent,
        capture_output=True,
    )
    if not executed.exists():
        return done.returncode, None
    return done.returncode, nbformat.read(executed, as_version=4)


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
def test_what_jupyter_runs_we_run_and_with_the_same_outputs(anything: Runner, kind: str) -> None:
    notebook = Path(anything.env["NOTEBOOK_PATH"])
    notebook.write_text(json.dumps(GOOD[kind]), encoding="utf-8")
    run = anything.run()
    code, theirs = jupyter_execute(notebook)
    assert code == 0
    assert theirs
    kept = anything.artifacts / run["run_id"] / "executed.ipynb"
    assert outputs(nbformat.read(kept, as_version=4)) == outputs(theirs)
    assert run["cells_done"] == run["cells_total"]
    html = anything.client.get(f"/output/{run['run_id']}?format=html", timeout=90)
    assert html.status_code == 200
    # A widget comes with scripts of its own, which the page's rules keep from running.
    assert "<script" not in html.text or kind == "a widget"


@pytest.mark.parametrize("kind", BAD)
def test_what_jupyter_fails_on_we_fail_on_in_words(anything: Runner, kind: str) -> None:
    cells, words = BAD[kind]
    notebook = Path(anything.env["NOTEBOOK_PATH"])
    notebook.write_text(json.dumps(cells), encoding="utf-8")
    run = anything.run("FAILED")
    assert words in run["error"]
    assert jupyter_execute(notebook)[0] != 0
