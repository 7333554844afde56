"""The programs of the projects that one checker grades, one after the other: forked, and ended."""

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Self

import psutil

from kit.grading.options import GraderOptions
from kit.processes.environment import allowed
from kit.processes.forkserver import ForkServer

KILL_TIMEOUT = 5.0  # seconds


class Programs:
    """A fork server for API processes and workers, and the end of what they have left.

    Elsewhere than on Linux there is none, and graders start programs as usual. `log` gets what the
    fork server itself prints. `workers`: it is known that there will be workers.
    """

    def __init__(self, log: Path = Path(os.devnull), *, workers: bool = False) -> None:
        self._server: ForkServer | None = None
        if sys.platform == "linux":
            soon = ["uvicorn", "celery" if workers else "kit.grading.programs.own_tests"]
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
