"""Checks in the background, quick ones: what they need is there already when they begin."""

import contextlib
import os
import sys
from dataclasses import replace
from typing import Self

import psutil

from kit.checking.grader_process import Grading
from kit.checking.job import Job, job
from kit.checking.preload import start_forkserver
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.grading.options import GraderOptions
from kit.grading.verdict import Verdict
from kit.processes.forkserver import ForkServer
from kit.processes.project import Project
from kit.processes.stack import Stack


class Checker:
    """One check at a time, in processes of its own, which can be stopped at any moment."""

    def __init__(self) -> None:
        from kit.grading.submission import OURS

        start_forkserver(everything=True)
        env = {name: value for name, value in os.environ.items() if name not in OURS}
        self._stack = Stack(env=env)
        self._forks: ForkServer | None = None
        if sys.platform == "linux":
            self._forks = ForkServer(self._stack.logs / "forkserver.log", env)
        self._from_env = GraderOptions.from_env(os.environ)
        self._redis_url = ""
        self._grading: Grading | None = None
        self._job: Job | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def job(self) -> Job | None:
        """What is being checked, or was last."""
        return self._job

    @property
    def sentinel(self) -> int | None:
        """Something to wait for: ready when the check that is under way has ended."""
        return self._grading.sentinel if self._grading else None

    @property
    def busy(self) -> bool:
        return self._grading is not None

    @property
    def over(self) -> bool:
        """Whether there is a verdict to take."""
        return self._grading is not None and self._grading.over

    def begin(self, exercise: Exercise) -> None:
        """Check the learner's copy. A check that is under way is stopped."""
        self.stop()
        folder = exercise.work
        if Project(folder).has_worker:
            self._keep_redis()
        self._job = job(exercise, folder)
        self._grading = Grading(exercise, folder, self._options(), stop_early=True)

    def take(self) -> tuple[Job, Verdict]:
        """What came of it. Waits for the end."""
        assert self._grading is not None and self._job is not None
        verdict = self._grading.finish()
        self._grading = None
        self._sweep()
        return self._job, verdict

    def stop(self) -> None:
        """End the check that is under way, if one is, with all its processes."""
        if self._grading is not None:
            self._grading.cancel()
            self._grading = None
            self._sweep()

    def close(self) -> None:
        """End everything."""
        try:
            self.stop()
        finally:
            if self._forks is not None:
                self._forks.close()
            self._stack.kill()
            self._stack.stop()

    def _options(self) -> GraderOptions:
        return replace(
            self._from_env,
            redis_url=self._redis_url,
            fork_server=self._forks.client if self._forks else None,
        )

    def _keep_redis(self) -> None:
        """Have a Redis up that stays up between checks."""
        server = self._stack.redis_server
        if server is None:
            self._redis_url = ""
            with contextlib.suppress(KitError):  # the check will say what is wrong with it
                self._redis_url = self._stack.redis()
        elif server.child is None or not server.child.running:
            with contextlib.suppress(KitError):
                server.start()

    def _sweep(self) -> None:
        """End what a check left. Who was forked cannot be found by its environment, but below
        the fork server, to which the system hands its orphans too.
        """
        if self._forks is not None:
            with contextlib.suppress(psutil.Error):
                left = psutil.Process(self._forks.pid).children(recursive=True)
                for process in left:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                psutil.wait_procs(left, timeout=5)
