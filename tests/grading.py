"""Grading many projects, two at a time, each in a copy of its own."""

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from kit.course import Exercise
from kit.grading.grade import grade
from kit.grading.verdict import Verdict

LANES = 2
PATIENCE = 280.0  # seconds for one; pytest-timeout ends a test at 300
# What running a project leaves in it is no part of it.
LEFTOVERS = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".venv", "dist")


@contextmanager
def lanes() -> Iterator[ProcessPoolExecutor]:
    """Processes that grade. Started afresh: they fork, and ours has threads that cannot follow."""
    before = os.environ.pop("WORKSHOP_CHECK_REDIS", None)  # one Redis for both would not do
    pool = ProcessPoolExecutor(LANES, multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        if before is not None:
            os.environ["WORKSHOP_CHECK_REDIS"] = before


def copy_project(folder: Path, target: Path) -> Path:
    """A copy in `target`, under the same name: the grader reads the number in it."""
    return Path(shutil.copytree(folder, target / folder.name, ignore=LEFTOVERS))


def grade_in(
    pool: ProcessPoolExecutor, exercise: Exercise, folder: Path, *, stop_early: bool
) -> "Future[Verdict]":
    return pool.submit(grade, exercise, folder, stop_early=stop_early)
