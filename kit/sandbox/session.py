"""Grading one learner's projects out of everybody's harm: the outside.

The inside (inside.py) is a process of its own, in a sandbox where there is one (sandbox.py). Should
the work bring it down, that project has failed, and the next one gets a new one.
"""

import contextlib
import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import psutil
from pydantic import TypeAdapter

from kit.course.catalogue import Exercise
from kit.grading.failure import LINES, FailureCode, clipped
from kit.grading.options import GraderOptions
from kit.grading.verdict import ProblemCode, Verdict, failed, not_checked
from kit.processes.child import Child, ending
from kit.sandbox.bubblewrap import Place, clean_env, outer, protection
from kit.sandbox.cleanup import empty, remove
from kit.sandbox.limits import Limits, count_threads
from kit.sandbox.process_tree import shut_eyes
from kit.workspace import ROOT

INSIDE = "kit.sandbox.worker"
SELDOM = 1.0  # seconds between looks whether it has been stopped
SLACK = 60.0  # seconds that the inside has beyond the deadline, to bring things to an end itself
GRACE = 15.0  # seconds to clear up where there is no sandbox that takes everything with it
# Of our own environment, what says which course this is and how to check; nothing secret.
OURS = ("WORKSHOP_COURSE", "WORKSHOP_REDIS")


class Session:
    """Grades one learner's projects, in order, out of everybody's harm. Under way from the start.

    `projects` are copies below `scratch`, which is this learner's alone; they are not written to.
    Iterated, it gives a verdict for each project, whatever happens; none after `close`.
    `confined`: whether to use the sandbox; by default, wherever it works.
    """

    def __init__(
        self,
        projects: Sequence[tuple[Exercise, Path]],
        scratch: Path,
        limits: Limits | None = None,
        *,
        confined: bool | None = None,
    ) -> None:
        self._waiting = [(exercise, folder.resolve()) for exercise, folder in projects]
        self._limits = limits or Limits()
        self._confined = protection().full if confined is None else confined
        self._place = Place(scratch.resolve() / "run")
        self._closed = threading.Event()
        self._lock = threading.Lock()  # for what follows
        self._child: Child | None = None
        self._told = -1
        self._heard = b""
        self._begun = False  # whether the work has had a hand in what comes
        if not self._confined:
            shut_eyes()
        if self._waiting:
            self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Verdict]:
        while self._waiting and not self._closed.is_set():
            exercise, _ = self._waiting[0]
            try:
                line = self._hear()
                if line == _begun(exercise):
                    self._begun = True
                    continue
                verdict = _verdict(line, exercise) if line else self._silent(exercise)
            except ValueError:  # the worker does not write such a line: the submission did
                verdict, line = failed(exercise, FailureCode.ENDED_GRADER), b""
            except TimeoutError:
                limit = self._limits.deadline
                verdict, line = failed(exercise, FailureCode.TIME_LIMIT, limit=limit), b""
            if self._closed.is_set():
                return
            self._waiting.pop(0)
            if not line:
                self._end()
                if self._waiting and not self._closed.is_set():
                    self._begin()
            yield verdict
        self._end()

    def close(self) -> None:
        """End all that runs here. Safe from another thread, and twice."""
        self._closed.set()
        self._end()

    def _begin(self) -> None:
        """Start the inside on what is left to grade."""
        with self._lock:
            if self._closed.is_set():
                return
            empty(self._place.run)
            asked, ask = os.pipe()
            # Sockets: nobody opens one by its name in /proc, as a pipe can be.
            self._told, tell = (each.detach() for each in socket.socketpair())
            self._heard = b""
            self._begun = False
            argv = [sys.executable, "-m", INSIDE, str(asked), str(tell)]
            try:
                self._child = Child(
                    "session",
                    [*(outer(self._place, self._limits) if self._confined else ()), *argv],
                    self._place.run.parent / "session.log",
                    cwd=ROOT,
                    env=clean_env(self._place)
                    | {n: os.environ[n] for n in OURS if n in os.environ},
                    pass_fds=[asked, tell],
                    grace=GRACE,
                    largest_file=self._limits.largest_file,
                )
            finally:
                os.close(asked)
                os.close(tell)
                with os.fdopen(ask, "wb") as request, contextlib.suppress(BrokenPipeError):
                    request.write(json.dumps(self._request()).encode())

    def _request(self) -> dict[str, Any]:
        return {
            "projects": [[exercise.slug, str(folder)] for exercise, folder in self._waiting],
            "run": str(self._place.run),
            "limits": asdict(self._limits),
            "threads": count_threads(),
            "start_timeout": GraderOptions.from_env(os.environ).start_timeout,
            "confined": self._confined,
            "namespace": namespace(),
        }

    def _end(self) -> None:
        with self._lock:
            child, self._child = self._child, None
            if child is None:
                return
            if self._confined:
                child.kill()  # and with its first process, its whole namespace
            else:
                child.stop()
            os.close(self._told)
            self._told = -1
            remove(self._place.run)

    def _hear(self) -> bytes:
        """The next line from the inside; nothing when there will be none. Raises TimeoutError."""
        deadline = time.monotonic() + self._limits.deadline + SLACK
        look = time.monotonic() + SELDOM
        while b"\n" not in self._heard:
            with self._lock:  # who closes it has to wait for so long
                if self._told < 0:
                    return b""
                ready, _, _ = select.select([self._told], [], [], 0.1)
                data = os.read(self._told, 1 << 16) if ready else None
            if data == b"":
                return b""
            if data:
                self._heard += data
            elif time.monotonic() > deadline:
                raise TimeoutError
            elif time.monotonic() > look:
                look = time.monotonic() + SELDOM
                if self._stopped():
                    return b""
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def _stopped(self) -> bool:
        """Whether somebody has stopped those who grade, who would see nothing then."""
        child = self._child
        if child is None:
            return False
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(child.pid)
            for process in [first, *first.children(recursive=True)]:
                if process.status() == psutil.STATUS_STOPPED and INSIDE in process.cmdline():
                    return True
        return False

    def _silent(self, exercise: Exercise) -> Verdict:
        """What came of a project that the inside has not outlived."""
        child = self._child
        if child is None:
            return failed(exercise, FailureCode.INTERRUPTED)
        if self._stopped():
            return failed(exercise, FailureCode.ENDED_GRADER)
        with contextlib.suppress(TimeoutError):
            child.wait(GRACE)
        code = child.returncode
        # 128 and a signal's number, says bubblewrap.
        if self._begun or code is None or code < 0 or code > 128:
            return failed(exercise, FailureCode.ENDED_GRADER)
        why = f"the process that grades it ended ({ending(code)})"
        return not_checked(exercise, ProblemCode.SANDBOX_ENDED, why, child.tail(15))


def namespace() -> str:
    """Which process namespace this is; nothing where there are none."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def begun(exercise: Exercise) -> dict[str, Any]:
    """What the inside says before it lets a project begin."""
    return {"begun": exercise.slug}


def _begun(exercise: Exercise) -> bytes:
    return json.dumps(begun(exercise)).encode()


def _verdict(line: bytes, exercise: Exercise) -> Verdict:
    """What the worker says of that exercise. Raises ValueError when it is nothing of the kind."""
    verdict = TypeAdapter(Verdict).validate_json(line)
    of = verdict.exercise, [task.number for task in verdict.tasks]
    if of != (exercise.slug, [task.number for task in exercise.tasks]):
        raise ValueError(f"a verdict on {of}")
    few = tuple(replace(task, notes=task.notes[:LINES]) for task in verdict.tasks)
    return replace(verdict, tasks=few).mapped(clipped)
