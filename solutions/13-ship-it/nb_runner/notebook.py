"""The notebook file: read it, judge it, and turn what it printed into text."""

import re
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from nbformat import NotebookNode

from .notebook_file import Unusable as Unusable
from .notebook_file import load

ANSI_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
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


def printed(notebook: NotebookNode) -> str:
    """All that the cells printed, returned or raised, as plain text."""
    outputs = (out for cell in notebook.cells for out in cell.get("outputs", []))
    text = "\n".join(part.rstrip("\n") for output in outputs if (part := _plain(output)))
    return ANSI_COLOURS.sub("", text) + "\n" if text else ""


def _plain(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return str(output.get("data", {}).get("text/plain", ""))
