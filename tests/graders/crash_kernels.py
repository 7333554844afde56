"""For the grader of exercise 12: notebooks that wait, and the kernels that execute them."""

from pathlib import Path

import nbformat
import psutil

NO_KERNEL = "there-is-none"  # a run with this kernel fails at once
KERNEL = "python3"

WAITS = """
import os, pathlib, time
here = pathlib.Path({here!r})
(here / f"{{os.getpid()}}.ran").touch()
end = time.monotonic() + 200
while not (here / f"{{os.getpid()}}.go").exists() and time.monotonic() < end:
    time.sleep(0.02)
"""


def write_notebook(path: Path, source: str, kernel: str = KERNEL) -> None:
    """A notebook with one cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip())])
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    nbformat.write(notebook, path)


class Kernels:
    """The kernels that execute the notebook which waits. `folder` is new, and theirs alone.

    `source` is that notebook's cell.
    """

    def __init__(self, folder: Path) -> None:
        self._marks = folder / "marks"
        self._marks.mkdir(parents=True)
        self.source = WAITS.format(here=str(self._marks))
        self._known: set[int] = set()

    def any(self) -> bool:
        """Whether one has begun to execute the notebook since the last call of `new`."""
        return bool(self._begun() - self._known)

    def new(self) -> set[int]:
        """Those that have begun to execute the notebook since the last call."""
        new = self._begun() - self._known
        self._known |= new
        return new

    def _begun(self) -> set[int]:
        return {int(mark.stem) for mark in self._marks.glob("*.ran")}


def alive(pid: int) -> bool:
    """Whether the process has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
