"""Grading many projects, three at a time, each in a copy of its own.

As in `watch`, a fork server imports the modules of graders and projects once and forks.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from kit.checking.grader_process import grade
from kit.checking.preload import start_forkserver
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.processes.environment import allowed
from kit.processes.forkserver import ForkServer
from kit.verdicts.verdict import Verdict

PROCESSES = 3
TIMEOUT = 280.0  # seconds for one project; pytest-timeout ends a test at 300

_fork_server: ForkServer | None = None  # each process of the pool has its own


@contextmanager
def grading_pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that grade.

    They are spawned, not forked: the process of the tests has threads, which a fork would lose.
    """
    pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), _get_ready)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def submit(
    pool: ProcessPoolExecutor, exercise: Exercise, folder: Path, *, stop_early: bool
) -> "Future[Verdict]":
    return pool.submit(_grade, exercise, folder, stop_early)


def _get_ready() -> None:
    """Prepare a process of the pool. Its fork server ends with it."""
    global _fork_server
    start_forkserver(everything=True)
    if sys.platform == "linux":
        env = allowed(os.environ)
        _fork_server = ForkServer(Path(os.devnull), env)


def _grade(exercise: Exercise, folder: Path, stop_early: bool) -> Verdict:
    options = replace(
        GraderOptions.from_env(os.environ),
        fork_server=_fork_server.client if _fork_server else None,
    )
    verdict = grade(exercise, folder, options, stop_early=stop_early)
    if _fork_server is not None:
        # A forked process shows the environment of the fork server, so no mark in it tells which
        # grader it belongs to: processes that a grader left are found as children.
        for left in psutil.Process(_fork_server.pid).children(recursive=True):
            with suppress(psutil.Error):
                left.kill()
    return verdict
