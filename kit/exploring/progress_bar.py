"""The progress of an exploration: a bar on a terminal, and nothing elsewhere."""

import os
import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class ProgressBar:
    """Shows what is tried now, and how often. How much is left is not known before the end."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),  # standard output may be JSON
            transient=True,
            redirect_stdout=False,
            disable=not sys.stderr.isatty() or os.environ.get("TERM") == "dumb",
        )
        self._task = self._progress.add_task("starting the runner", total=None, count="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, what: str, count: int) -> None:
        """Show what is tried, and how often it has been tried so far."""
        self._progress.update(self._task, description=what, count=str(count or ""))
