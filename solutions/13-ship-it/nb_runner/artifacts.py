"""What runs leave on disk: the executed notebook, and what it printed.

On disk, because outputs can be large. Redis keeps a summary of a few hundred bytes.
"""

import logging
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .notebook import runnable
from .plain_text import Text, parts

log = logging.getLogger(__name__)

# A run's folder, whole or not. The runner leaves everything else in there alone.
OURS = re.compile(r"\.?\d{8}-\d{6}-[0-9a-f]{6}")
NOTEBOOK, TEXT, HTML = "executed.ipynb", "output.txt", "report.html"


def keep(folder: Path, run_id: str, notebook: NotebookNode, runs: int) -> None:
    """Write a run's artefacts, then forget all but the newest `runs`.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    unfinished = folder / f".{run_id}"  # no reader sees it until it is whole
    unfinished.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, unfinished / NOTEBOOK)
    _write_text(notebook, unfinished / TEXT)
    unfinished.rename(folder / run_id)
    ours = [path for path in folder.iterdir() if OURS.fullmatch(path.name)]
    for old in sorted(ours, key=_written)[:-runs]:
        shutil.rmtree(old, ignore_errors=True)


def _write_text(notebook: NotebookNode, path: Path) -> None:
    """Write what the cells put out, as text."""
    numbers = {position: number for number, position in enumerate(runnable(notebook), 1)}
    text = Text(whole_lines=True)
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for part in parts(notebook, numbers):
            file.write(text.feed(part))
        file.write(text.end())


def _written(folder: Path) -> float:
    """When its run ended. (Ids sort by time, too, but only by whole seconds.)"""
    try:
        return (folder / NOTEBOOK).stat().st_mtime
    except OSError:  # half written by a worker that died
        return 0
