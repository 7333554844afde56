"""What runs leave on disk: the executed notebook, what it printed, and files of its own.

On disk, because outputs can be large. Redis keeps a summary of a few hundred bytes. Each run has a
folder. The executed notebook comes into it last, and whole: a folder without one is that of a run
which goes on, or whose worker has died.
"""

import errno
import json
import logging
import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import nbformat
from nbformat import NotebookNode

from ..notebook import leftovers
from ..notebook.document import runnable
from .alt_text import describe_figures
from .plain_text import Text, parts

log = logging.getLogger(__name__)

# A run's folder. The runner leaves everything else in there alone.
OURS = re.compile(r"\.?\d{8}-\d{6}-[0-9a-f]{6}")
NOTEBOOK, TEXT, HTML = "executed.ipynb", "output.txt", "report.html"
CELLS = "cells.json"  # where in the text each cell begins and ends
LIVE = "live.jsonl"  # what the run has put out so far
FILES = "files"  # OUTPUT_DIR: here the notebook leaves what it likes
FULL = (errno.ENOSPC, errno.EDQUOT)


def begin(folder: Path, run_id: str, runs: int) -> Path:
    """Make the folder of a run. Before that, forget runs until it is one of the newest `runs`.

    On a full disk, a folder does not fit, either: the oldest other run makes room, once.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    own = folder / run_id
    folder.mkdir(parents=True, exist_ok=True)
    for old in _others(own)[: 1 - runs or None]:
        _forget(old)
    try:
        (own / FILES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _make_room(own, error)
        (own / FILES).mkdir(parents=True, exist_ok=True)
    return own


def keep(own: Path, notebook: NotebookNode) -> None:
    """Write a run's artefacts. On a full disk, the oldest other run makes room, once.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    describe_figures(notebook)
    try:
        _write(own, notebook)
    except OSError as error:
        _make_room(own, error)
        _write(own, notebook)


def opened(folder: Path, run_id: str, *names: str) -> BinaryIO | None:
    """A file of a run, open to be read. None: there is none.

    Cells can put anything into these folders. So each step of the way has to be a folder, the last
    one a file, and none a symbolic link: one could lead to the secrets of the process that reads.
    """
    steps = [run_id, *(step for name in names for step in PurePosixPath(name).parts)]
    if any(step in ("/", "//", "..") or "\0" in step for step in steps):
        return None
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for last, step in zip([False] * (len(steps) - 1) + [True], steps, strict=True):
            # Without O_NONBLOCK, to open a named pipe would take until something writes into it.
            kind = os.O_NONBLOCK if last else os.O_DIRECTORY
            try:
                inner = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=at)
            finally:
                os.close(at)
            at = inner
    except (OSError, UnicodeError):
        return None
    if stat.S_ISREG(os.fstat(at).st_mode):
        return os.fdopen(at, "rb")
    os.close(at)
    return None


def _write(own: Path, notebook: NotebookNode) -> None:
    unfinished = own / f".{NOTEBOOK}"
    try:
        _write_text(own, notebook)
        nbformat.write(notebook, unfinished)
        unfinished.replace(own / NOTEBOOK)
    except BaseException:  # what is there of it would only take room
        for name in (unfinished.name, TEXT, CELLS):
            (own / name).unlink(missing_ok=True)
        raise
    (own / LIVE).unlink(missing_ok=True)


def _write_text(own: Path, notebook: NotebookNode) -> None:
    """Write what the cells put out, as text, and where in it each cell is."""
    numbers = {position: number for number, position in enumerate(runnable(notebook), 1)}
    places: dict[int, tuple[int, int]] = {}
    with (own / TEXT).open("wb") as file:
        for cell, of_the_cell in groupby(parts(notebook, numbers), lambda part: part.cell):
            start, text = file.tell(), Text(whole_lines=True)
            for part in of_the_cell:
                file.write(text.feed(part).encode(errors="replace"))
            file.write(text.end().encode(errors="replace"))
            places[cell] = start, file.tell()
    (own / CELLS).write_text(json.dumps(places), encoding="utf-8")


def _make_room(own: Path, error: OSError) -> None:
    """If the disk is full, forget the oldest other run. Raises the error where that cannot help."""
    others = _others(own)
    if error.errno not in FULL or not others:
        raise error
    log.warning("The disk is full: run %s makes room for %s.", others[0].name, own.name)
    _forget(others[0])


def _others(own: Path) -> list[Path]:
    """The folders of the other runs, the oldest first."""
    ours = [path for path in own.parent.iterdir() if OURS.fullmatch(path.name) and path != own]
    return sorted(ours, key=_written)


def _forget(old: Path) -> None:
    if not leftovers.delete(old):
        log.error("The output of the old run %s cannot be deleted.", old.name)


def _written(folder: Path) -> float:
    """When its run ended. Without a notebook: when it was started, as its id says.

    (Ids sort by time, too, but only by whole seconds.)
    """
    with suppress(OSError):  # left by a worker that died, or another one has just forgotten it
        return (folder / NOTEBOOK).lstat().st_mtime
    with suppress(ValueError):
        started = datetime.strptime(folder.name.lstrip(".")[:15], "%Y%m%d-%H%M%S")
        return started.replace(tzinfo=UTC).timestamp()
    return 0
