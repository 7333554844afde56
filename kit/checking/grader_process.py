"""Graders in processes of their own, and the verdicts that their reports make."""

import contextlib
import functools
import json
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from kit.checking.preload import start_forkserver
from kit.checking.programs import Programs, programs_of
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.processes.environment import allowed
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.verdict import Problem, ProblemCode, State, TaskVerdict, TestReport, Verdict
from kit.workspace import shown

if TYPE_CHECKING:
    from pydantic import TypeAdapter

DEADLINE = 240.0  # seconds for one exercise; the solutions take a tenth of it
POLL_INTERVAL = 0.2  # seconds
# Plugins of pytest that no grader needs. They take half of the time that pytest takes to start.
UNUSED_PLUGINS = (
    *("cacheprovider", "debugging", "doctest", "faulthandler", "junitxml", "legacypath", "logging"),
    *("pastebin", "recwarn", "setuponly", "setupplan", "stepwise", "subtests", "threadexception"),
    *("unittest", "unraisableexception", "warnings"),
)
MARK = "WORKSHOP_CHECK"  # a variable that all processes below a grader inherit


class Grading:
    """The check of one project, under way from the start. Ends by `finish` or `cancel`.

    `options` are for the grader. `stop_early`: no further than the first task that fails.
    `deadline` is in seconds. `confine` is called first in the process of the grader.

    Once it has ended, `killed` says whether a signal ended it.
    """

    def __init__(
        self,
        exercise: Exercise,
        folder: Path,
        options: GraderOptions,
        *,
        stop_early: bool = False,
        deadline: float = DEADLINE,
        confine: Callable[[], None] | None = None,
    ) -> None:
        self.exercise = exercise
        self.folder = folder
        self.killed = False
        self._deadline = deadline
        self._stop_early = stop_early
        self.began = time.monotonic()
        task = _Task(exercise, folder, options, stop_early)
        self._grader = _Grader(task, confine)
        self._process = self._grader.process

    @property
    def pid(self) -> int:
        """The grader's process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """Ready, for `multiprocessing.connection.wait`, when the grader has ended."""
        return self._process.sentinel

    @property
    def over(self) -> bool:
        """Whether `finish` would not have to wait."""
        self._grader.receive()  # a full socket would block the grader
        return self._left() == 0 or not self._process.is_alive()

    @property
    def decided(self) -> tuple[tuple[str, bool], ...]:
        """The tasks that are decided by now: their numbers, and whether they have passed."""
        lines = _lines(self._grader.receive())
        counts = _counts(lines)
        tests = [line["test"] for line in lines if "test" in line]
        results = {
            task: [test["passed"] for test in tests if test["task"] == task] for task in counts
        }
        return tuple(
            (task, all(passed))
            for task, passed in results.items()
            if not all(passed) or len(passed) == counts[task]
        )

    def finish(self) -> Verdict:
        """Wait for the end of the grader, kill it at the deadline, and return the verdict."""
        while not self.over:
            self._process.join(min(POLL_INTERVAL, self._left()))
        late = self._process.is_alive()
        self._kill()
        code = self._process.exitcode
        self.killed = not late and code is not None and code < 0
        lines = _lines(self._grader.receive())
        # The tests after the first that failed were not run, on purpose.
        counts = {} if self._stop_early and not late else _counts(lines)
        tests = [
            _report_adapter().validate_python(line["test"]) for line in lines if "test" in line
        ]
        problem = _problem(tests, code, late, _read(self._grader.log))
        if not self.exercise.grader.is_file():
            missing = f"its grader is missing: {shown(self.exercise.grader)}"
            problem = Problem(ProblemCode.GRADER_MISSING, missing)
        self._grader.close()
        return Verdict(
            self.exercise.slug,
            time.monotonic() - self.began,
            _tasks(self.exercise, tests, counts, self._deadline if late else 0),
            problem,
            tests[-1].values if tests else (),
        )

    def cancel(self) -> None:
        """End the grader. There is no verdict."""
        self._kill()
        self._grader.close()

    def _left(self) -> float:
        return max(0.0, self.began + self._deadline - time.monotonic())

    def _kill(self) -> None:
        """Kill the grader, and all processes that it or the project has left."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        # A daemon with a session of its own has inherited the environment too.
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                young = process.create_time() > self._grader.started - 2
                if young and process.environ().get(MARK) == self._grader.mark:
                    process.kill()


def grade(
    exercise: Exercise, folder: Path, options: GraderOptions, *, stop_early: bool = False
) -> Verdict:
    """Grade the project in `folder`."""
    grading = Grading(exercise, folder, options, stop_early=stop_early)
    try:
        return grading.finish()
    except BaseException:
        grading.cancel()
        raise


def grade_all(
    projects: Iterable[tuple[Exercise, Path]],
    options: GraderOptions,
    *,
    at_once: int = 1,
    stop_early: bool = False,
    meanwhile: Callable[[list[Grading]], None] = lambda under_way: None,
) -> Iterator[tuple[Grading, Verdict]]:
    """Grade many, some at once, in the order in which they end."""
    waiting = list(projects)
    under_way: dict[Grading, Programs] = {}
    soon = programs_of(folder for _, folder in waiting)
    with contextlib.ExitStack() as opened:
        idle = [
            opened.enter_context(Programs(soon=soon)) for _ in range(min(at_once, len(waiting)))
        ]
        try:
            while waiting or under_way:
                while waiting and idle:
                    programs = idle.pop()
                    now = programs.added_to(options)
                    under_way[Grading(*waiting.pop(0), now, stop_early=stop_early)] = programs
                _report_adapter()  # an import, while graders are at work
                meanwhile(list(under_way))
                wait([grading.sentinel for grading in under_way], POLL_INTERVAL)
                for grading in [each for each in under_way if each.over]:
                    verdict = grading.finish()
                    idle.append(under_way.pop(grading))
                    idle[-1].kill_leftovers()
                    yield grading, verdict
        finally:
            for grading, programs in under_way.items():
                grading.cancel()
                programs.kill_leftovers()


@dataclass(frozen=True)
class _Task:
    """What a grader is to grade."""

    exercise: Exercise
    folder: Path
    options: GraderOptions
    stop_early: bool


class _OpenFile:
    """The number of an open file, which multiprocessing hands over to the process it starts."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (DupFd(self.number),)


def _opened(duplicate: Any) -> _OpenFile:
    return _OpenFile(duplicate.detach())


class _Grader:
    """A process that grades one project."""

    def __init__(self, task: _Task, confine: Callable[[], None] | None = None) -> None:
        self.mark = uuid.uuid4().hex
        self.started = time.time()
        self._open = contextlib.ExitStack()
        temporary = self._open.enter_context(tempfile.TemporaryDirectory(prefix="workshop-grade-"))
        # A file without a name, which the project cannot find.
        self.log = self._open.enter_context(_unnamed_file())
        # Reports come through a socket. A file or a pipe can be opened a second time by its name in
        # /proc: the project could put a link to it where the grader writes. A socket cannot.
        self._reports, report = socket.socketpair()
        self._open.enter_context(self._reports)
        self._received = b""
        files = _OpenFile(report.fileno()), _OpenFile(self.log.fileno())
        arguments = _GraderArguments(temporary, *files, self.mark, task)
        self.process = _new_process(arguments, confine)
        with report:
            self.process.start()

    def receive(self) -> bytes:
        """All reports so far."""
        with contextlib.suppress(BlockingIOError):
            while data := self._reports.recv(1 << 16, socket.MSG_DONTWAIT):
                self._received += data
        return self._received

    def close(self) -> None:
        # This ends a grader that has outlived the fork server. It cannot be done when the clean-up
        # of the sandbox has read the exit code: then the process counts as running.
        with contextlib.suppress(ValueError):
            self.process.close()
        self._open.close()


def _new_process(arguments: "_GraderArguments", confine: Callable[[], None] | None) -> BaseProcess:
    if confine is None:
        start_forkserver()  # unless it runs already
        return multiprocessing.get_context("forkserver").Process(
            target=_run_grader, args=(arguments, None), daemon=True
        )
    # A confined grader is forked from the process of sandbox/worker.py, which has no threads. The
    # fork inherits that no other process may access its memory; an exec would reset that. The fork
    # server of multiprocessing is started by an exec, so a submission could access it. And the
    # clean-up after each project would kill it.
    return multiprocessing.get_context("fork").Process(
        target=_run_grader, args=(arguments, confine), daemon=True
    )


@dataclass(frozen=True)
class _GraderArguments:
    """What the process of a grader is started with: the numbers of a socket and a file among it."""

    temporary: str
    report: _OpenFile
    log: _OpenFile
    mark: str
    task: _Task


def _run_grader(arguments: _GraderArguments, confine: Callable[[], None] | None) -> None:
    """Run pytest, in the process of the grader."""
    if confine is not None:
        confine()
    os.setpgrp()  # Ctrl-C is for the process that waits for the grader, and ends it
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # the fork server blocks one of them
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(arguments.log.number, 1)
    os.dup2(arguments.log.number, 2)
    tempfile.tempdir = arguments.temporary  # the other process removes it
    # What is set for pytest, or for a library that graders use, is not meant for a grader.
    env = allowed(os.environ) | {MARK: arguments.mark, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    os.environ.clear()
    os.environ.update(env)
    import pytest  # here, because the process that waits for graders does not need it

    from kit.grading.plugin import CollectedIn, OptionsPlugin

    task = arguments.task
    grader = task.exercise.grader
    words = [grader.name, "--submission", str(task.folder)]
    words += ["--verdict", str(arguments.report.number)]
    # Without --rootdir, pytest would read the folders beside the course.
    words += ["--rootdir", ".", "-o", "addopts=", "-o", "filterwarnings=default"]
    words += ["--noconftest", "-p", "kit.grading.plugin", "-q"]
    words += [word for name in UNUSED_PLUGINS for word in ("-p", f"no:{name}")]
    words += ["-x"] if task.stop_early else []
    # Paths in pytest's arguments have a syntax: a `$` in the name of a folder is a variable, and a
    # `[` begins the parameters of a test. So pytest gets the name of the file alone.
    plugins = [OptionsPlugin(task.options), CollectedIn(grader.parent)]
    raise SystemExit(int(pytest.main(words, plugins)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(3)  # the leashes of the project's processes notice it


def _lines(received: bytes) -> list[dict[str, Any]]:
    """The reports that have come whole: the last line may be under way, or cut off for ever."""
    whole = [line for line in received.splitlines(keepends=True) if line.endswith(b"\n")]
    return [json.loads(line.decode(errors="replace")) for line in whole]


def _counts(lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many tests each task has."""
    return next((line["tests"] for line in lines if "tests" in line), {})


def _tasks(
    exercise: Exercise, tests: Sequence[TestReport], counts: Mapping[str, int], late: float
) -> tuple[TaskVerdict, ...]:
    """A verdict for each task. It has passed when it has tests and all of them passed.

    `counts`: how many tests each task has. `late`: the seconds that the exercise had, when they
    were not enough.
    """
    verdicts = []
    for task in exercise.tasks:
        mine = [test for test in tests if test.task == task.number]
        broken = next((test for test in mine if not test.passed), None)
        failure = broken.failure if broken else None
        state = State.PASSED
        if failure is not None:
            state = State.FAILED
        elif broken is not None:
            state = State.NOT_CHECKED  # its test met a problem
        elif not mine or len(mine) < counts.get(task.number, 1):
            state = State.FAILED if late else State.NOT_REACHED
            failure = Failure(FailureCode.TIME_LIMIT, limit=late) if late else None
        notes = tuple(note for test in mine for note in test.notes)
        verdicts.append(TaskVerdict(task.number, task.title, state, failure, notes))
    return tuple(verdicts)


def _problem(tests: Sequence[TestReport], code: int | None, late: bool, log: str) -> Problem | None:
    """Why there is no verdict, if there is none."""
    for test in tests:
        if test.problem is not None:
            return test.problem
    if late or (tests and code in (0, 1)):
        return None
    tail = "\n".join(log.splitlines()[-15:])
    return Problem(ProblemCode.GRADER_ENDED, f"the grader ended with code {code}", tail)


@functools.cache
def _report_adapter() -> "TypeAdapter[TestReport]":
    # Imported late: a grader that is forked from this process has no use for pydantic.
    from pydantic import TypeAdapter

    return TypeAdapter(TestReport)


def _unnamed_file() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
