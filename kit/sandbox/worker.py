"""The worker process, which session.py starts: it grades one learner's projects.

    python -m kit.sandbox.worker REQUEST_FD VERDICT_FD

It reads a request in JSON from REQUEST_FD, and writes a line of JSON to VERDICT_FD for each
verdict. The worker process is trusted code. A fork server starts the submission's programs, in the
inner sandbox where there is one. The worker process kills them before it grades the next project.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NoReturn

import psutil

from kit.checking.grader_process import Grading
from kit.checking.preload import import_here
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.grading.options import GraderOptions
from kit.processes.forkserver import ForkServer
from kit.processes.project import Project
from kit.sandbox.bubblewrap import ScratchLayout, inner_sandbox
from kit.sandbox.folder_removal import empty
from kit.sandbox.limits import Limits
from kit.sandbox.monitor import Excess, Monitor
from kit.sandbox.process_tree import (
    become_subreaper,
    join_new_keyring,
    kill_process_tree,
    set_nondumpable,
)
from kit.sandbox.session import process_namespace, started_message
from kit.verdicts.failure import FailureCode
from kit.verdicts.verdict import Problem, ProblemCode, Verdict, failed
from kit.workspace import workspace

LIMIT_POLL_INTERVAL = 0.1  # seconds between checks of the limits
HAS_FORK_SERVER = sys.platform == "linux"

# Problems that a submission may have caused by an attack on its grader or its fork server.
TAMPERED = {
    ProblemCode.GRADER_ERROR: FailureCode.BROKE_GRADER,
    ProblemCode.GRADER_ENDED: FailureCode.BROKE_GRADER,
    ProblemCode.FORK_SERVER_GONE: FailureCode.ENDED_FORK_SERVER,
    ProblemCode.NOT_STARTED: FailureCode.ENDED_FORK_SERVER,
}


class SandboxWorker:
    """Grades projects one after the other."""

    def __init__(
        self,
        layout: ScratchLayout,
        limits: Limits,
        threads: int,
        *,
        start_timeout: float,
        sandbox: bool,
    ) -> None:
        self._layout = layout
        self._limits = limits
        self._threads = threads
        self._start_timeout = start_timeout
        self._sandbox = sandbox
        self._monitor = Monitor(limits, layout.run, own_filesystem=sandbox)
        self._server: ForkServer | None = None
        for folder in layout.folders:
            folder.mkdir()
        tempfile.tempdir = str(layout.trusted)

    def grade(self, exercise: Exercise, folder: Path) -> Verdict:
        """Grade a copy of the project, then remove its files and kill its processes."""
        project = self._layout.work / exercise.slug
        try:
            shutil.copytree(folder, project, symlinks=True)
        except (OSError, shutil.Error) as error:
            return failed(exercise, FailureCode.NOT_COPIED, detail=str(error))
        self.ensure_fork_server()
        grading = Grading(
            exercise,
            project,
            self._options(),
            deadline=self._limits.deadline,
            confine=self._prepare_grader,
        )
        try:
            if excess := self._wait_within_limits(grading):
                kill_process_tree(own_namespace=self._sandbox)
                grading.cancel()
                return failed(exercise, excess.code, limit=excess.limit)
            return self._unless_tampered(grading, grading.finish())
        finally:
            self.clean_up()

    def ensure_fork_server(self) -> None:
        """Start the fork server for the submission's programs. It imports its modules meanwhile."""
        if not HAS_FORK_SERVER or (self._server is not None and self._server.running):
            return
        self._close_fork_server()
        self._server = ForkServer(
            self._layout.run / "forkserver.log",
            dict(os.environ),
            inside=inner_sandbox(self._layout) if self._sandbox else [],
            confine=self._impose_limits,
        )

    def clean_up(self) -> None:
        """Kill what the submission has left running, and remove its files."""
        if not kill_process_tree(self._spared_pids(), own_namespace=self._sandbox):
            self._close_fork_server()
            kill_process_tree(own_namespace=self._sandbox)
        for folder in self._layout.folders:
            empty(folder)

    def close(self) -> None:
        """Kill all processes below this one, the fork server too."""
        kill_process_tree(own_namespace=self._sandbox)
        self._close_fork_server()

    def _wait_within_limits(self, grading: Grading) -> Excess | None:
        """Wait for the end of the grading. Returns early when a limit is exceeded: that limit."""
        while not grading.over:
            if excess := self._monitor.check():
                return excess
            wait([grading.sentinel], LIMIT_POLL_INTERVAL)
        return self._monitor.check()

    def _unless_tampered(self, grading: Grading, verdict: Verdict) -> Verdict:
        """The verdict, or a failure if the submission has tampered with its grading."""
        problem = verdict.problem
        if not grading.killed and problem is None:
            return verdict
        # A submission that attacked its grader may have stopped the fork server as well.
        server_ended = self._server is not None and not self._server.running
        self._close_fork_server()
        if grading.killed or problem is None:
            return failed(grading.exercise, FailureCode.ENDED_GRADER)
        if server_ended:
            return failed(grading.exercise, FailureCode.ENDED_FORK_SERVER)
        if code := TAMPERED.get(problem.code):
            return failed(grading.exercise, code, detail=_one_text(problem))
        return verdict

    def _spared_pids(self) -> set[int]:
        """The processes of the fork server. In a sandbox, bubblewrap's process is one of them."""
        if self._server is None:
            return set()
        spared = {self._server.pid}
        if self._sandbox:
            try:
                spared |= {each.pid for each in psutil.Process(self._server.pid).children()}
            except psutil.Error:
                return set()
        return spared

    def _close_fork_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _impose_limits(self) -> None:
        self._limits.impose(self._threads)

    def _prepare_grader(self) -> None:
        self._impose_limits()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _options(self) -> GraderOptions:
        return GraderOptions(
            shared=self._layout.temporary,
            fork_server=self._server.client if self._server else None,
            start_timeout=self._start_timeout,
        )


def main(request_fd: int, verdict_fd: int) -> None:
    """Grade what the request names."""
    with os.fdopen(request_fd, "rb") as request:
        order = json.loads(request.read())
    sandbox = _in_sandbox(order)
    become_subreaper()
    set_nondumpable()
    join_new_keyring()
    signal.signal(signal.SIGTERM, _exit)
    os.set_inheritable(verdict_fd, False)
    workspace()  # reads WORKSHOP_COURSE, which the submission's programs must not see
    for name in ("WORKSHOP_COURSE", "PWD"):  # bubblewrap sets PWD
        os.environ.pop(name, None)
    projects = [(catalogue.find(slug), Path(folder)) for slug, folder in order["projects"]]
    any_worker = any(Project(folder).has_worker for _, folder in projects)
    layout, limits = ScratchLayout(Path(order["run"])), Limits(**order["limits"])
    worker = SandboxWorker(
        layout,
        limits,
        order["threads"],
        start_timeout=order["start_timeout"],
        sandbox=sandbox,
    )
    try:
        worker.ensure_fork_server()
        import_here(worker=any_worker)
        for exercise, folder in projects:
            _write_line(verdict_fd, started_message(exercise))
            _write_line(verdict_fd, asdict(worker.grade(exercise, folder)))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        worker.close()


def _one_text(problem: Problem) -> str:
    return "\n".join(filter(None, [problem.message, problem.detail]))


def _write_line(verdict_fd: int, what: dict[str, Any]) -> None:
    with os.fdopen(verdict_fd, "w", closefd=False, encoding="utf-8") as out:
        out.write(json.dumps(what) + "\n")


def _in_sandbox(order: dict[str, Any]) -> bool:
    """Whether this is a sandbox, where it is safe to kill all processes of the namespace."""
    if order["confined"] and process_namespace() == order["namespace"]:
        raise SystemExit("this is not the sandbox that it should be")
    return bool(order["confined"])


def _exit(*_: Any) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
