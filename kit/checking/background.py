"""Checks in the background. They are quick, because imports and Redis are ready beforehand."""

import contextlib
import os
from dataclasses import replace
from typing import Self

from kit.checking.grader_process import Grading
from kit.checking.job import Job, follow, give_up, job
from kit.checking.preload import start_forkserver
from kit.checking.programs import Programs
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.grading.options import GraderOptions
from kit.processes.environment import allowed
from kit.processes.project import Project
from kit.processes.stack import Stack
from kit.verdicts.verdict import Verdict


class BackgroundChecker:
    """One check at a time, in processes of its own, which can be stopped at any moment."""

    def __init__(self) -> None:
        start_forkserver(everything=True)
        self._stack = Stack(env=allowed(os.environ))
        self._programs = Programs(self._stack.logs / "forkserver.log")
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
        """The check that is under way, or was the last one."""
        return self._job

    @property
    def sentinel(self) -> int | None:
        """For `multiprocessing.connection.wait`: ready when the check has ended."""
        return self._grading.sentinel if self._grading else None

    @property
    def decided(self) -> tuple[tuple[str, bool], ...]:
        """The tasks of the check under way that are decided by now."""
        return self._grading.decided if self._grading else ()

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
            self._ensure_redis()
        self._job = job(exercise, folder)
        self._grading = Grading(exercise, folder, self._options(), stop_early=True)
        follow(self._job, ())

    def take(self) -> tuple[Job, Verdict]:
        """The verdict, and what it is about. Waits for the end of the check."""
        assert self._grading is not None and self._job is not None
        verdict = self._grading.finish()
        self._grading = None
        self._programs.kill_leftovers()
        return self._job, verdict

    def stop(self) -> None:
        """End the check that is under way, if there is one, with all its processes."""
        if self._grading is not None and self._job is not None:
            self._grading.cancel()
            self._grading = None
            self._programs.kill_leftovers()
            give_up(self._job)

    def close(self) -> None:
        """End everything."""
        try:
            self.stop()
        finally:
            self._programs.close()
            self._stack.kill()
            self._stack.stop()

    def _options(self) -> GraderOptions:
        return self._programs.added_to(replace(self._from_env, redis_url=self._redis_url))

    def _ensure_redis(self) -> None:
        """Have a Redis running, which goes on between checks."""
        server = self._stack.redis_server
        if server is None:
            self._redis_url = ""
            with contextlib.suppress(KitError):  # the check tries it too, and reports the error
                self._redis_url = self._stack.redis()
        elif server.child is None or not server.child.running:
            with contextlib.suppress(KitError):
                server.start()
