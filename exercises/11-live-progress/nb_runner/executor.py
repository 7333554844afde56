"""Running a notebook: a kernel executes its cells, nbclient hands them over."""

import os
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


# TODO(11.1): run() gets a function, and calls it with the numbers of cells: how many are done, and
#   how many there are. Only cells of code count. What run() returns has the two numbers, too:
#   cells_done and cells_total.
#   https://nbclient.readthedocs.io/en/latest/client.html
# TODO(11.3): run() gets the run's id, too. It keeps the executed notebook in a file of that name,
#   also after a failure.
def run(settings: Settings) -> dict[str, Any]:
    """Run a fresh copy of the notebook, in its own folder. What it left, as JSON can say it.

    The notebook finds its database in its environment, as DATABASE_URL.

    Raises:
        NotebookFailed: a cell raised, took too long, or took the kernel with it.
    """
    # Read for each run: a copy kept in memory would carry outputs from run to run.
    notebook: NotebookNode = nbformat.read(settings.notebook_path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=settings.cell_timeout,
        resources={"metadata": {"path": str(settings.notebook_path.parent)}},
    )
    try:
        # Starts a kernel, and shuts it down whatever happens.
        client.execute(env=os.environ | {"DATABASE_URL": settings.database_url})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise NotebookFailed(readable(error, settings), left_by(notebook)) from error
    return left_by(notebook)


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
