"""The programs of the projects that one checker grades, one after the other: forked, and ended."""

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import psutil

from kit.grading.options import GraderOptions
from kit.processes.environment import allowed
from kit.processes.forkserver import ForkServer
from kit.processes.project import Project

KILL_TIMEOUT = 5.0  # seconds
SOON = ("uvicorn", "kit.grading.programs.own_tests")


def programs_of(folders: Iterable[Path]) -> Sequence[str]:
    """The programs that graders of these projects start, the slowest import first.

    An import takes a processor for a third of a second. Exercise 01 has two for Poetry, and starts
    no program of its own.
    """
    projects = [Project(folder) for folder in folders]
    if any(project.has_worker for project in projects):
        return ("celery", "uvicorn")
    return SOON if any(project.has_api for project in projects) else ()


class Programs:
    """A fork server for API processes and workers, and the end of what they have left.

    Elsewhere than on Linux there is none, and graders start programs as usual. `log` gets what the
    fork server itself prints. It imports for the programs in `soon` ahead of their first request.
    """

    def __init__(self, log: Path = Path(os.devnull), *, soon: Sequence[str] = SOON) -> None:
        self._server: ForkServer | None = None
        if sys.platform == "linux":
            self._server = ForkServer(log, allowed(os.environ), soon=soon)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def added_to(self, options: GraderOptions) -> GraderOptions:
        """The same options, with this fork server."""
        return replace(options, fork_server=self._server.client if self._server else None)

    def kill_leftovers(self) -> None:
        """Kill the processes that a check has left.

        A forked process has the environment of the fork server, so the mark of its check does not
        show. But it is below the fork server in the process tree, also as an orphan.
        """
        if self._server is not None:
            with contextlib.suppress(psutil.Error):
                left = psutil.Process(self._server.pid).children(recursive=True)
                for process in left:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                psutil.wait_procs(left, timeout=KILL_TIMEOUT)

    def close(self) -> None:
        """End the fork server."""
        if self._server is not None:
            self._server.close()
