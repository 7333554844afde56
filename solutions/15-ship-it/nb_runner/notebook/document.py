"""The notebook file: read it, and judge it."""

from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from nbformat import NotebookNode

from .format import Unusable as Unusable
from .format import load

SKIPPED_TAG = "skip-execution"  # nbclient's default


def read(path: Path) -> NotebookNode:
    """A fresh copy of the notebook, without outputs: those in the file are of an earlier session.

    (One copy for all runs would carry outputs from run to run.)

    Raises:
        Unusable: it is missing, not a notebook, or wants a kernel that is not installed.
    """
    notebook = load(path)
    name = kernel_name(notebook)
    installed = sorted(KernelSpecManager().find_kernel_specs())
    if name not in installed:
        has = ", ".join(installed) or "none"
        raise Unusable(f"{path} wants the kernel {name!r}, which is not installed (there: {has}).")
    _clear(notebook)
    return notebook


def _clear(notebook: NotebookNode) -> None:
    """Take out what its cells have put out when the file was saved, and when they were run."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
        else:
            cell.pop("outputs", None)  # not of the format; some programs leave them all the same


def kernel_name(notebook: NotebookNode) -> str:
    """The kernel that the notebook asks for; python3 when it does not say."""
    return str(notebook.metadata.get("kernelspec", {}).get("name", "python3"))


def runnable(notebook: NotebookNode) -> list[int]:
    """Positions of the cells that will run: code, not empty, not tagged to be skipped."""
    return [
        position
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and cell.source.strip()
        and SKIPPED_TAG not in cell.metadata.get("tags", [])
    ]
