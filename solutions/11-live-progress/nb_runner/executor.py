"""Running a notebook: a kernel executes its cells, nbclient hands them over."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from .config import Settings


class NotebookFailed(Exception):
    """The notebook did not run to its end: why, in a sentence, and what it left by then.

    Celery keeps an exception as its name and its arguments, in JSON, and makes a new one of them
    for each reader. So the arguments have to say it all.
    """

    def __init__(self, why: str, left: dict[str, Any]) -> None:
        super().__init__(why, left)
        self.why = why
        self.left = left

    def __str__(self) -> str:
        return self.why


def artifact(settings: Settings, run_id: str) -> Path:
    """Where a run's executed notebook is kept."""
    return settings.artifacts_dir / f"{run_id}.ipynb"


def run(
    settings: Settings, run_id: str, progress: Callable[[dict[str, int]], None]
) -> dict[str, Any]:
    """Run a fresh copy of the notebook, in its own folder. What it left, as JSON can say it.

    The notebook finds its database in its environment, as DATABASE_URL. `progress` is told how many
    cells are done, and of how many. What was executed is kept on disk, also after a failure.

    Raises:
        NotebookFailed: a cell raised, took too long, or took the kernel with it.
    """
    # Read for each run: a copy kept in memory would carry outputs from run to run.
    notebook: NotebookNode = nbformat.read(settings.notebook_path, as_version=4)
    cells = runnable(notebook)
    counted = {"cells_done": 0, "cells_total": len(cells)}

    def starting(cell_index: int, **_: Any) -> None:
        counted["cells_done"] = cells.index(cell_index)  # those before it
        progress(counted)

    progress(counted)
    client = NotebookClient(
        notebook,
        timeout=settings.cell_timeout,
        on_cell_execute=starting,
        resources={"metadata": {"path": str(settings.notebook_path.parent)}},
    )
    try:
        # Starts a kernel, and shuts it down whatever happens.
        client.execute(env=os.environ | {"DATABASE_URL": settings.database_url})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        why = readable(error, settings)
        raise NotebookFailed(why, left_by(notebook) | counted) from error
    finally:
        settings.artifacts_dir.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, artifact(settings, run_id))
    return left_by(notebook) | counted | {"cells_done": len(cells)}


def runnable(notebook: NotebookNode) -> list[int]:
    """Positions of the cells that will run: code, not empty, not tagged to be skipped."""
    return [
        position
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and cell.source.strip()
        and "skip-execution" not in cell.metadata.get("tags", [])
    ]


def left_by(notebook: NotebookNode) -> dict[str, Any]:
    """What we tell of a notebook that was run, whole or in part: all that its cells printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.text for output in outputs if output.output_type == "stream"]
    return {"printed": "".join(texts)}


def readable(problem: Exception, settings: Settings) -> str:
    """Why a notebook did not run to its end."""
    match problem:
        case CellExecutionError():
            return f"A cell raised {problem.ename}: {problem.evalue}"
        case CellTimeoutError():
            return f"A cell ran for longer than {settings.cell_timeout} s."
        case _:
            return "The kernel died in the middle of a cell."
