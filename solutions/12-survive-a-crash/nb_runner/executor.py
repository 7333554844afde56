"""Running a notebook: a kernel executes its cells, nbclient hands them over."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from .config import Settings


class NotebookFailed(Exception):
    """The notebook did not run to its end; its text says why. Pickles: it has one argument."""


def artifact(settings: Settings, run_id: str) -> Path:
    """Where a run's executed notebook is kept."""
    return settings.artifacts_dir / f"{run_id}.ipynb"


def run(
    settings: Settings,
    run_id: str,
    progress: Callable[[int, int], None],
    started: Callable[[Callable[[], None]], None],
) -> NotebookNode:
    """Run a fresh copy of the notebook, in its own folder, and return it with its outputs.

    The notebook finds its database in its environment, as DATABASE_URL. `progress` is told how many
    code cells are done, and of how many; `started` is given what ends the kernel at once. What was
    executed is kept on disk, also after a failure.

    Raises:
        NotebookFailed: a cell raised, took too long, or took the kernel with it.
    """
    # Read for each run: a copy kept in memory would carry outputs from run to run.
    notebook: NotebookNode = nbformat.read(settings.notebook_path, as_version=4)
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source]

    def executed(cell_index: int, **_: Any) -> None:
        progress(code.index(cell_index) + 1, len(code))

    def kill() -> None:
        # Its whole process group, so that what cells have started goes too.
        manager: Any = client.km
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.killpg(manager.provisioner.pgid, signal.SIGKILL)

    progress(0, len(code))
    client = NotebookClient(
        notebook,
        timeout=settings.cell_timeout,
        on_notebook_start=lambda **_: started(kill),
        on_cell_executed=executed,
        resources={"metadata": {"path": str(settings.notebook_path.parent)}},
    )
    try:
        # Starts a kernel, and shuts it down whatever happens.
        client.execute(env=os.environ | {"DATABASE_URL": settings.database_url})
    except CellExecutionError as error:
        raise NotebookFailed(f"A cell raised {error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        raise NotebookFailed(f"A cell ran for longer than {settings.cell_timeout:g} s.") from error
    except DeadKernelError as error:
        raise NotebookFailed("The kernel died in the middle of a cell.") from error
    finally:
        settings.artifacts_dir.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, artifact(settings, run_id))
    return notebook


def printed(notebook: NotebookNode) -> str:
    """All that the cells printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")
