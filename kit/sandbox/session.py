"""Grading one learner's projects in a worker process, from the trusted side.

The worker process (worker.py) runs in the outer sandbox, where there is one (bubblewrap.py). If a
submission ends the worker process, that project has failed, and a new worker process grades the
next project.
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

from kit.checking.verdict_json import verdict_adapter
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.processes.child import Child, exit_in_words
from kit.sandbox.bubblewrap import ScratchLayout, clean_env, outer_sandbox, protection
from kit.sandbox.folder_removal import empty, remove
from kit.sandbox.limits import Limits, count_threads
from kit.sandbox.process_tree import set_nondumpable
from kit.verdicts.failure import LINES, FailureCode, clipped
from kit.verdicts.verdict import ProblemCode, Verdict, failed, not_checked
from kit.workspace import ROOT

WORKER_MODULE = "kit.sandbox.worker"
STOPPED_POLL_INTERVAL = 1.0  # seconds between checks for SIGSTOP
WORKER_EXTRA_TIME = 60.0  # seconds that the worker has after the deadline, to end by itself
STOP_TIMEOUT = 15.0  # seconds for the worker to clean up, without a sandbox
# The worker inherits these variables. They name the course and options of checks; none is secret.
INHERITED_VARIABLES = ("WORKSHOP_COURSE", "WORKSHOP_REDIS")


class Session:
    """Grades one learner's projects, in order, in a worker process. The constructor starts it.

    `projects` are copies below `scratch`, a folder for this learner only; the session does not
    write to the copies. Iterating yields a verdict for each project, even when the worker process
    ends; it yields none after `close`.
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
        self._pending = [(exercise, folder.resolve()) for exercise, folder in projects]
        self._limits = limits or Limits()
        self._confined = protection().full if confined is None else confined
        self._layout = ScratchLayout(scratch.resolve() / "run")
        self._closed = threading.Event()
        self._lock = threading.Lock()  # guards the worker process and the two fields below it
        self._worker: Child | None = None
        self._verdict_fd = -1
        self._buffer = b""
        self._grading_started = False  # from then on, the submission's code may run
        if not self._confined:
            set_nondumpable()
        if self._pending:
            self._start_worker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Verdict]:
        while self._pending and not self._closed.is_set():
            exercise, _ = self._pending[0]
            try:
                line = self._read_line()
                if line == _started_line(exercise):
                    self._grading_started = True
                    continue
                if line:
                    verdict = _parse_verdict(line, exercise)
                else:
                    verdict = self._verdict_without_line(exercise)
            except ValueError:  # the worker does not write such a line: the submission did
                verdict, line = failed(exercise, FailureCode.ENDED_GRADER), b""
            except TimeoutError:
                limit = self._limits.deadline
                verdict, line = failed(exercise, FailureCode.TIME_LIMIT, limit=limit), b""
            if self._closed.is_set():
                return
            self._pending.pop(0)
            if not line:
                self._end_worker()
                if self._pending and not self._closed.is_set():
                    self._start_worker()
            yield verdict
        self._end_worker()

    def close(self) -> None:
        """Kill all processes. Another thread may call it, and calling it twice is harmless."""
        self._closed.set()
        self._end_worker()

    def _start_worker(self) -> None:
        """Start a worker process on the projects that are left."""
        with self._lock:
            if self._closed.is_set():
                return
            empty(self._layout.run)
            request_read, request_write = os.pipe()
            # A socket, not a pipe: a submission could open a pipe by its name in /proc.
            self._verdict_fd, verdict_write = (each.detach() for each in socket.socketpair())
            self._buffer = b""
            self._grading_started = False
            argv = [sys.executable, "-m", WORKER_MODULE, str(request_read), str(verdict_write)]
            try:
                self._worker = Child(
                    "session",
                    [*(outer_sandbox(self._layout, self._limits) if self._confined else ()), *argv],
                    self._layout.run.parent / "session.log",
                    cwd=ROOT,
                    env=clean_env(self._layout)
                    | {n: os.environ[n] for n in INHERITED_VARIABLES if n in os.environ},
                    pass_fds=[request_read, verdict_write],
                    grace=STOP_TIMEOUT,
                    largest_file=self._limits.largest_file,
                )
            finally:
                os.close(request_read)
                os.close(verdict_write)
                with (
                    os.fdopen(request_write, "wb") as request,
                    contextlib.suppress(BrokenPipeError),
                ):
                    request.write(json.dumps(self._request()).encode())

    def _request(self) -> dict[str, Any]:
        return {
            "projects": [[exercise.slug, str(folder)] for exercise, folder in self._pending],
            "run": str(self._layout.run),
            "limits": asdict(self._limits),
            "threads": count_threads(),
            "start_timeout": GraderOptions.from_env(os.environ).start_timeout,
            "confined": self._confined,
            "namespace": process_namespace(),
        }

    def _end_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
            if worker is None:
                return
            if self._confined:
                worker.kill()  # the kernel then kills all of its process namespace
            else:
                worker.stop()
            os.close(self._verdict_fd)
            self._verdict_fd = -1
            remove(self._layout.run)

    def _read_line(self) -> bytes:
        """The next line of the worker process; empty at its end. Raises TimeoutError."""
        deadline = time.monotonic() + self._limits.deadline + WORKER_EXTRA_TIME
        next_check = time.monotonic() + STOPPED_POLL_INTERVAL
        while b"\n" not in self._buffer:
            # Before the lock: on a busy machine this thread would take it again and again before
            # `close`, which waits for it.
            if self._closed.is_set():
                return b""
            with self._lock:
                if self._verdict_fd < 0:
                    return b""
                ready, _, _ = select.select([self._verdict_fd], [], [], 0.1)
                data = os.read(self._verdict_fd, 1 << 16) if ready else None
            if data == b"":
                return b""
            if data:
                self._buffer += data
            elif time.monotonic() > deadline:
                raise TimeoutError
            elif time.monotonic() > next_check:
                next_check = time.monotonic() + STOPPED_POLL_INTERVAL
                if self._worker_stopped():
                    return b""
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _worker_stopped(self) -> bool:
        """Whether a signal has stopped the worker process or a grader."""
        worker = self._worker
        if worker is None:
            return False
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(worker.pid)
            for process in [first, *first.children(recursive=True)]:
                if process.status() == psutil.STATUS_STOPPED and WORKER_MODULE in process.cmdline():
                    return True
        return False

    def _verdict_without_line(self, exercise: Exercise) -> Verdict:
        """The verdict on a project whose worker process ended, or stopped, without one."""
        worker = self._worker
        if worker is None:
            return failed(exercise, FailureCode.INTERRUPTED)
        if self._worker_stopped():
            return failed(exercise, FailureCode.ENDED_GRADER)
        with contextlib.suppress(TimeoutError):
            worker.wait(STOP_TIMEOUT)
        code = worker.returncode
        # Bubblewrap exits with 128 plus the number of the signal.
        if self._grading_started or code is None or code < 0 or code > 128:
            return failed(exercise, FailureCode.ENDED_GRADER)
        why = f"the process that grades it ended ({exit_in_words(code)})"
        return not_checked(exercise, ProblemCode.SANDBOX_ENDED, why, worker.tail(15))


def process_namespace() -> str:
    """The identity of this process namespace; empty where the system has none."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def started_message(exercise: Exercise) -> dict[str, Any]:
    """The message that the worker process writes before it grades a project."""
    return {"started": exercise.slug}


def _started_line(exercise: Exercise) -> bytes:
    return json.dumps(started_message(exercise)).encode()


def _parse_verdict(line: bytes, exercise: Exercise) -> Verdict:
    """The verdict in a line. Raises ValueError unless it is one on this exercise."""
    verdict = verdict_adapter().validate_json(line)
    subject = verdict.exercise, [task.number for task in verdict.tasks]
    if subject != (exercise.slug, [task.number for task in exercise.tasks]):
        raise ValueError(f"a verdict on {subject}")
    shortened = tuple(replace(task, notes=task.notes[:LINES]) for task in verdict.tasks)
    return replace(verdict, tasks=shortened).mapped(clipped)
