"""Grading many projects, three at a time, each in a copy of its own.

As `watch` does it: what a grader and a project import is imported once, and forked.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from kit.checking.grader_process import grade, import_all
from kit.course.catalogue import Exercise
from kit.grading.submission import OURS
from kit.grading.verdict import Verdict
from kit.processes import child
from kit.processes.forkserver import ForkServer

LANES = 3
PATIENCE = 280.0  # seconds for one; pytest-timeout ends a test at 300


@contextmanager
def lanes() -> Iterator[ProcessPoolExecutor]:
    """Processes that grade. Started afresh: they fork, and ours has threads that cannot follow."""
    before = os.environ.pop("WORKSHOP_CHECK_REDIS", None)  # one Redis for both would not do
    pool = ProcessPoolExecutor(LANES, multiprocessing.get_context("spawn"), _get_ready)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        if before is not None:
            os.environ["WORKSHOP_CHECK_REDIS"] = before


def grade_in(
    pool: ProcessPoolExecutor, exercise: Exercise, folder: Path, *, stop_early: bool
) -> "Future[Verdict]":
    return pool.submit(_grade, exercise, folder, stop_early)


def _get_ready() -> None:
    """In each lane. Its fork server ends with it."""
    import_all()
    if sys.platform == "linux":
        env = {name: value for name, value in os.environ.items() if name not in OURS}
        child.fork_server = ForkServer(Path(os.devnull), env)


def _grade(exercise: Exercise, folder: Path, stop_early: bool) -> Verdict:
    verdict = grade(exercise, folder, stop_early=stop_early)
    if child.fork_server is not None:
        # Who was forked carries the server's environment, by which nobody is found.
        for left in psutil.Process(child.fork_server.pid).children(recursive=True):
            with suppress(psutil.Error):
                left.kill()
    return verdict
