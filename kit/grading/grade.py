"""Grade projects: each grader runs in a process of its own, and we read what came of it."""

import contextlib
import json
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import psutil

from kit.course import Exercise
from kit.grading.verdict import TaskVerdict, Verdict
from kit.paths import ROOT, shown

DEADLINE = 240.0  # seconds for one exercise; ours are done in a tenth of it
LOOK = 0.2  # seconds between looks at deadlines
MARK = "WORKSHOP_CHECK"  # a variable that everything under a grader inherits


class Grading:
    """The check of one project, under way from the start. Ends by `finish` or `cancel`.

    `stop_early`: no further than the first task that fails.
    """

    def __init__(self, exercise: Exercise, folder: Path, *, stop_early: bool = False) -> None:
        self.exercise = exercise
        self.folder = folder
        self.began = time.monotonic()
        self._born = time.time()
        self._mark = uuid.uuid4().hex
        self._temporary = tempfile.TemporaryDirectory(prefix="workshop-grade-")
        self._place = Path(self._temporary.name)
        # Forked, so that what it imports is imported already.
        self._process = multiprocessing.get_context("fork").Process(
            target=_run_pytest, args=(exercise, folder, self._place, self._mark, stop_early)
        )
        self._process.start()

    @property
    def sentinel(self) -> int:
        """Ready, for `multiprocessing.connection.wait`, when the grader has ended."""
        return self._process.sentinel

    @property
    def over(self) -> bool:
        """Whether `finish` would not have to wait."""
        return self._left() == 0 or not self._process.is_alive()

    def finish(self) -> Verdict:
        """Wait for the end, or bring it about when it is overdue, and say what came of it."""
        self._process.join(self._left())
        late = self._process.is_alive()
        self._kill()
        # A grader that was stopped may have left half a line.
        lines = _read(self._place / "verdict").splitlines(keepends=True)
        told = [json.loads(line) for line in lines if line.endswith("\n")]
        problem = _problem(told, self._process.exitcode, late, _read(self._place / "log"))
        if not self.exercise.grader.is_file():
            problem = f"its grader is missing: {shown(self.exercise.grader)}"
        self._temporary.cleanup()
        seconds = time.monotonic() - self.began
        return Verdict(self.exercise.slug, seconds, _tasks(self.exercise, told, late), problem)

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self._kill()
        self._temporary.cleanup()

    def _left(self) -> float:
        return max(0.0, self.began + DEADLINE - time.monotonic())

    def _kill(self) -> None:
        """End the grader, if it has not ended, and what it or the project left behind."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        # Even a daemon with a session of its own inherits its environment.
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                young = process.create_time() > self._born - 2
                if young and process.environ().get(MARK) == self._mark:
                    process.kill()


def grade(exercise: Exercise, folder: Path, *, stop_early: bool = False) -> Verdict:
    """Grade the project in `folder`."""
    grading = Grading(exercise, folder, stop_early=stop_early)
    try:
        return grading.finish()
    except BaseException:
        grading.cancel()
        raise


def grade_all(
    projects: Iterable[tuple[Exercise, Path]],
    *,
    at_once: int = 1,
    stop_early: bool = False,
    meanwhile: Callable[[list[Grading]], None] = lambda under_way: None,
) -> Iterator[tuple[Grading, Verdict]]:
    """Grade many, some at once, in the order in which they end."""
    waiting = list(projects)
    under_way: list[Grading] = []
    try:
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                under_way.append(Grading(*waiting.pop(0), stop_early=stop_early))
            meanwhile(under_way)
            wait([grading.sentinel for grading in under_way], LOOK)
            for grading in [each for each in under_way if each.over]:
                verdict = grading.finish()
                under_way.remove(grading)
                yield grading, verdict
    finally:
        for grading in under_way:
            grading.cancel()


def _run_pytest(exercise: Exercise, folder: Path, place: Path, mark: str, early: bool) -> None:
    """In the process of its own."""
    os.setpgrp()  # Ctrl-C is for those who wait for us: they end us
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with (place / "log").open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    tempfile.tempdir = str(place)  # which is removed, however this ends
    os.environ[MARK] = mark

    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    words = [str(exercise.grader), "--submission", str(folder)]
    words += ["--verdict", str(place / "verdict")]
    words += ["--rootdir", str(ROOT), "-o", "addopts=", "-o", "filterwarnings=default"]
    words += ["--noconftest", "-p", "no:cacheprovider", "-p", "kit.grading.plugin", "-q"]
    code = pytest.main(words + (["-x"] if early else []))
    raise SystemExit(int(code))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(3)  # what we started is on a leash, and sees it


def _tasks(exercise: Exercise, told: list[dict[str, Any]], late: bool) -> list[TaskVerdict]:
    """A verdict for each task: passed when it has tests and all of them passed."""
    verdicts = []
    for task in exercise.tasks:
        lines = [line for line in told if line["task"] == task.number]
        verdict = TaskVerdict(task.number, task.title, passed=bool(lines))
        for line in lines:
            verdict.notes += line["notes"]
            if verdict.passed and not line["passed"]:
                verdict.passed = False
                hint = f"Hint      ./workshop hint {exercise.number:02}"
                verdict.message = f"{line.get('wrong') or line.get('problem')}\n{hint}"
        if not lines:
            verdict.message = (
                f"It took longer than {DEADLINE:g} s, so everything was stopped."
                if late
                else "Not checked yet: what comes before it has to pass first."
            )
        verdicts.append(verdict)
    return verdicts


def _problem(told: list[dict[str, Any]], code: int | None, late: bool, log: str) -> str:
    """Why there is no verdict, if there is none."""
    for line in told:
        if "problem" in line:
            return str(line["problem"])
    if late or (told and code in (0, 1)):
        return ""
    tail = "\n".join(log.splitlines()[-15:])
    return f"the grader ended with code {code}:\n{tail}"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
