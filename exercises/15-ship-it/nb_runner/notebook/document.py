"""The notebook file: read it, and judge it."""

from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from nbformat import NotebookNode

from .format import Unusable as Unusable
from .format import load

SKIPPED_TAG = "skip-execution"  # nbclient's default


def read(path: Path) -> NotebookNode:
    """A fresh copy of the notebook. (One copy for all runs would carry outputs from run to run.)

    Raises:
        Unusable: it is missing, not a notebook, or wants a kernel that is not installed.
    """
    notebook = load(path)
    name = kernel_name(notebook)
    installed = sorted(KernelSpecManager().find_kernel_specs())
    if name not in installed:
        has = ", ".join(installed) or "none"
        raise Unusable(f"{path} wants the kernel {name!r}, which is not installed (there: {has}).")
    return notebook


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
