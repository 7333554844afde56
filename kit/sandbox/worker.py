"""Grading one learner's projects: the inside, in a process of its own that session.py starts.

    python -m kit.sandbox.worker ASKED TELL

Reads from the open file ASKED what to do, and writes to TELL a line of JSON for each verdict. All
here is trusted code. What is the submission's is started by a fork server of its own (in the inner
sandbox, where there is one), and ended between two projects.
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
from kit.grading.failure import FailureCode
from kit.grading.options import GraderOptions
from kit.grading.verdict import Problem, ProblemCode, Verdict, failed
from kit.processes.forkserver import ForkServer
from kit.processes.project import Project
from kit.sandbox.bubblewrap import Place, inner
from kit.sandbox.cleanup import empty
from kit.sandbox.limits import Limits
from kit.sandbox.monitor import Excess, Watcher
from kit.sandbox.process_tree import end_family, keep_orphans, leave_keyring, shut_eyes
from kit.sandbox.session import begun, namespace
from kit.workspace import workspace

LOOK = 0.1  # seconds between looks at limits
FORKED = sys.platform == "linux"  # elsewhere there is no fork server

# With one of these, the submission may have got at what grades it.
TAMPERED = {
    ProblemCode.GRADER_ERROR: FailureCode.BROKE_GRADER,
    ProblemCode.GRADER_ENDED: FailureCode.BROKE_GRADER,
    ProblemCode.FORK_SERVER_GONE: FailureCode.ENDED_FORK_SERVER,
    ProblemCode.NOT_STARTED: FailureCode.ENDED_FORK_SERVER,
}


class Inside:
    """Grades projects one after the other."""

    def __init__(
        self,
        place: Place,
        limits: Limits,
        threads: int,
        *,
        start_timeout: float,
        sandbox: bool,
    ) -> None:
        self._place = place
        self._limits = limits
        self._threads = threads
        self._start_timeout = start_timeout
        self._sandbox = sandbox
        self._watcher = Watcher(limits, place.run, whole=sandbox)
        self._server: ForkServer | None = None
        for folder in place.folders:
            folder.mkdir()
        tempfile.tempdir = str(place.own)

    def grade(self, exercise: Exercise, folder: Path) -> Verdict:
        """Grade a copy of the project, and let nothing of it stay."""
        project = self._place.work / exercise.slug
        try:
            shutil.copytree(folder, project, symlinks=True)
        except (OSError, shutil.Error) as error:
            return failed(exercise, FailureCode.NOT_COPIED, detail=str(error))
        self.ready()
        grading = Grading(
            exercise,
            project,
            self._options(),
            deadline=self._limits.deadline,
            confine=self._confine_grader,
        )
        try:
            if excess := self._watch(grading):
                end_family(alone=self._sandbox)
                grading.cancel()
                return failed(exercise, excess.code, limit=excess.limit)
            return self._judged(grading, grading.finish())
        finally:
            self.clear_away()

    def ready(self) -> None:
        """Have a server for what is the submission's, which does not wait for its imports."""
        if not FORKED or (self._server is not None and self._server.running):
            return
        self._drop_server()
        self._server = ForkServer(
            self._place.run / "forkserver.log",
            dict(os.environ),
            inside=inner(self._place) if self._sandbox else [],
            confine=self._confine,
        )

    def clear_away(self) -> None:
        """End what the submission has left running, and remove its files."""
        if not end_family(self._spared(), alone=self._sandbox):
            self._drop_server()
            end_family(alone=self._sandbox)
        for folder in self._place.folders:
            empty(folder)

    def close(self) -> None:
        """End everything."""
        end_family(alone=self._sandbox)
        self._drop_server()

    def _watch(self, grading: Grading) -> Excess | None:
        """Wait for the end of the grading, or for a limit to be exceeded."""
        while not grading.over:
            if excess := self._watcher.look():
                return excess
            wait([grading.sentinel], LOOK)
        return self._watcher.look()

    def _judged(self, grading: Grading, verdict: Verdict) -> Verdict:
        """The verdict, unless the work has tampered with what it comes from."""
        problem = verdict.problem
        if not grading.killed and problem is None:
            return verdict
        # A submission that got at the grader may have got at the fork server, if only to stop it.
        server_ended = self._server is not None and not self._server.running
        self._drop_server()
        if grading.killed or problem is None:
            return failed(grading.exercise, FailureCode.ENDED_GRADER)
        if server_ended:
            return failed(grading.exercise, FailureCode.ENDED_FORK_SERVER)
        if code := TAMPERED.get(problem.code):
            return failed(grading.exercise, code, detail=_one_text(problem))
        return verdict

    def _spared(self) -> set[int]:
        """The fork server and, in a sandbox, who waits for it there."""
        if self._server is None:
            return set()
        spared = {self._server.pid}
        if self._sandbox:
            try:
                spared |= {each.pid for each in psutil.Process(self._server.pid).children()}
            except psutil.Error:
                return set()
        return spared

    def _drop_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _confine(self) -> None:
        self._limits.impose(self._threads)

    def _confine_grader(self) -> None:
        self._confine()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _options(self) -> GraderOptions:
        return GraderOptions(
            shared=self._place.temporary,
            fork_server=self._server.client if self._server else None,
            start_timeout=self._start_timeout,
        )


def main(asked: int, tell: int) -> None:
    """Do what is asked."""
    with os.fdopen(asked, "rb") as request:
        order = json.loads(request.read())
    sandbox = _in_sandbox(order)
    keep_orphans()
    shut_eyes()
    leave_keyring()
    signal.signal(signal.SIGTERM, _exit)
    os.set_inheritable(tell, False)
    workspace()  # read now: the submission's programs are not told of WORKSHOP_COURSE
    for name in ("WORKSHOP_COURSE", "PWD"):  # the second is bubblewrap's
        os.environ.pop(name, None)
    projects = [(catalogue.find(slug), Path(folder)) for slug, folder in order["projects"]]
    works = any(Project(folder).has_worker for _, folder in projects)
    place, limits = Place(Path(order["run"])), Limits(**order["limits"])
    inside = Inside(
        place,
        limits,
        order["threads"],
        start_timeout=order["start_timeout"],
        sandbox=sandbox,
    )
    try:
        inside.ready()
        import_here(worker=works)
        for exercise, folder in projects:
            _tell(tell, begun(exercise))
            _tell(tell, asdict(inside.grade(exercise, folder)))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        inside.close()


def _one_text(problem: Problem) -> str:
    return "\n".join(filter(None, [problem.message, problem.detail]))


def _tell(tell: int, what: dict[str, Any]) -> None:
    with os.fdopen(tell, "w", closefd=False, encoding="utf-8") as out:
        out.write(json.dumps(what) + "\n")


def _in_sandbox(order: dict[str, Any]) -> bool:
    """Whether we are where we think: before we kill all processes there are."""
    if order["confined"] and namespace() == order["namespace"]:
        raise SystemExit("this is not the sandbox that it should be")
    return bool(order["confined"])


def _exit(*_: Any) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
