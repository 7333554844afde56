"""A notebook file that is not what the format says: refused in words, before a run and in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults import odd_notebooks
from tests.e2e.faults.odd_notebooks import RICH, replaced
from tests.e2e.runner import PRODUCT, Runner, start_runner

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

Place = tuple[Any, ...]
ODD: dict[str, tuple[Place, Any, str]] = {
    "kernelspec is null": (("metadata", "kernelspec"), None, "metadata.kernelspec: None is not"),
    "kernelspec is a list": (("metadata", "kernelspec"), [], "metadata.kernelspec: [] is not"),
    "kernelspec is a name alone": (
        ("metadata", "kernelspec"),
        {"name": "python3"},
        "metadata.kernelspec: 'display_name' is a required property",
    ),
    "tags are null": (("cells", 0, "metadata", "tags"), None, "cells[0].metadata.tags: None"),
    "metadata is null": (("cells", 0, "metadata"), None, "cells[0].metadata: None is not of type"),
    "source is null": (("cells", 0, "source"), None, "cells[0].source: None is not of type"),
    "half of a character": (("cells", 0, "source"), "'\ud83d'", "cells[0].source has half of a"),
    "cells are missing": (("cells",), odd_notebooks.DROPPED, "'cells' is a required property"),
    "a list": ((), [], "it is not a JSON object"),
}


@pytest.fixture(scope="module")
def anything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner whose notebook can be replaced. The one that it starts with is odd."""
    folder = tmp_path_factory.mktemp("odd")
    notebook = folder / "it.ipynb"
    notebook.write_text(odd("kernelspec is null"), encoding="utf-8")
    with start_runner(folder, notebook=notebook) as runner:
        yield runner


def odd(kind: str) -> str:
    """A notebook with one odd value, as it is in the file."""
    place, value, _ = ODD[kind]
    return json.dumps(replaced(RICH, place, value))


@pytest.mark.parametrize("kind", ODD)
def test_28_an_odd_notebook_is_refused_with_a_reason_by_ready_and_by_the_run(
    anything: Runner, kind: str
) -> None:
    Path(anything.env["NOTEBOOK_PATH"]).write_text(odd(kind), encoding="utf-8")
    words = ODD[kind][2]
    ready = anything.client.get("/ready")
    assert ready.status_code == 503
    assert words in ready.json()["notebook"]
    assert words in anything.run("FAILED")["error"]


def test_28_a_notebook_that_begins_with_a_byte_order_mark_is_run(anything: Runner) -> None:
    Path(anything.env["NOTEBOOK_PATH"]).write_text(json.dumps(RICH), encoding="utf-8-sig")
    assert anything.client.get("/ready").json()["notebook"] == "ok"
    anything.run("SUCCEEDED")


def test_28_whichever_value_is_odd_the_notebook_is_run_or_refused_with_a_reason() -> None:
    done = subprocess.run(
        [sys.executable, odd_notebooks.__file__],
        cwd=PRODUCT.path,
        env=os.environ | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["faults"] == []
    assert result["found"]["refused"] > 500
    assert result["found"]["executed"] > 100
