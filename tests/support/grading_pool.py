"""Grading many projects, three at a time, each in a copy of its own.

As in `watch`, a fork server imports the modules of graders and projects once and forks.
"""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from kit.checking.grader_process import grade
from kit.checking.preload import start_forkserver
from kit.checking.programs import Programs
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.verdicts.verdict import Verdict

PROCESSES = 3
TIMEOUT = 280.0  # seconds for one project; pytest-timeout ends a test at 300

_programs: Programs  # each process of the pool has its own


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
    global _programs
    start_forkserver(everything=True)
    _programs = Programs()


def _grade(exercise: Exercise, folder: Path, stop_early: bool) -> Verdict:
    options = _programs.added_to(GraderOptions.from_env(os.environ))
    verdict = grade(exercise, folder, options, stop_early=stop_early)
    _programs.kill_leftovers()
    return verdict
