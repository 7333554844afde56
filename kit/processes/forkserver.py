"""The fork server: a process that has imported uvicorn, FastAPI and Celery, and forks programs.

Most of the time that `python -m uvicorn` or `python -m celery` take to start goes into imports.
`watch` checks after every save. So it keeps a fork server, which imports once, and forks the
programs that Child asks for. Each program runs on a leash with the contract of leash.py: it has a
session of its own, and ends with the program that asked for it. When the fork server cannot do a
request, or does not answer, Child starts the program as usual.

`grade` uses the fork server for another reason. It runs in the inner sandbox, and starts every
program of the submission there. Some programs cannot be forked; it starts them by an exec. Child
starts none of them, because they would run outside of the inner sandbox.

The fork server of multiprocessing forks functions, not programs: it has no sessions, no leashes and
no files under given numbers. (Graders are functions: checking/preload.py uses it for them.)

This file has two sides: the kit imports it to send requests, and runs it as a program to serve
them. It is for Linux only: the system libraries of macOS do not survive a fork.
"""

import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, NoReturn, Self

from kit.errors import KitError
from kit.processes import leash
from kit.workspace import ROOT

REPORT_TIMEOUT = 20.0  # seconds until a leash reports; the first request waits for the imports too
MAX_REQUEST_BYTES = 1 << 20
MAX_FDS = 16
PR_SET_DUMPABLE = 4  # this and the next are from prctl.h of Linux
PR_SET_CHILD_SUBREAPER = 36

UVICORN = (
    *("uvicorn.main", "uvicorn.loops.auto", "uvicorn.lifespan.on", "httptools", "uvloop"),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
    *("fastapi", "fastapi.responses", "pydantic", "pydantic.v1"),
)
CELERY = (
    *("celery.bin.celery", "celery.bin.worker", "celery.apps.worker", "celery.worker.consumer"),
    *("celery.worker.request", "celery.concurrency.prefork", "celery.backends.redis"),
    *("celery.fixups.django", "kombu.transport.redis", "redis"),
)
# What workers import from exercise 10 on. It takes as long as Celery. No worker waits for it: the
# fork server imports it after the first worker.
NOTEBOOK = (
    *("nbclient", "nbformat", "pydantic_settings", "sqlalchemy", "sqlalchemy.dialects.sqlite"),
    "prometheus_client",
)
# pytest imports these when it runs, and not before.
PYTEST = (
    *("pytest", "_pytest.faulthandler", "_pytest.helpconfig", "_pytest.junitxml"),
    *("_pytest.pastebin", "_pytest.setuponly", "_pytest.setupplan", "_pytest.skipping"),
    *("_pytest.threadexception", "_pytest.tracemalloc", "_pytest.unittest"),
    *("_pytest.unraisableexception", "_pytest.warnings", "difflib", "pdb", "tomllib", "unittest"),
    *("xml.etree.ElementTree", "anyio.pytest_plugin", "anyio._backends._asyncio"),
)
# The programs to fork, and what each of them imports for a project of the course. The last four
# are those of graders.
IMPORTS = {
    "uvicorn": UVICORN,
    "celery": CELERY,
    "kit.grading.programs.kept": UVICORN,
    "kit.grading.programs.overlap": UVICORN,
    "kit.grading.programs.own_tests": ("fastapi.testclient", *PYTEST),
    "kit.grading.programs.producer": CELERY,
}
PROGRAMS = tuple(IMPORTS)


@dataclass(frozen=True)
class StartRequest:
    """A program to start. `fds` are open files; the program gets them under the same numbers.

    `by_exec`: the program cannot be forked.
    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    fds: list[int]
    grace: float
    largest_file: int
    by_exec: bool = False


class ForkServerGone(KitError):
    """The fork server has ended, or does not answer."""

    code = "fork_server_gone"


class ForkedLeash:
    """The leash of a forked program, with the part of a Popen that Child uses."""

    def __init__(self, pid: int, reports: IO[bytes]) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = reports

    def poll(self) -> int | None:
        """None while the leash runs. (The exit code is in its report.)"""
        return self._poll(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the leash. Raises subprocess.TimeoutExpired."""
        code = self._poll(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("the leash", timeout or 0)
        return code

    def kill(self) -> None:
        """Kill the leash itself."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _poll(self, timeout: float | None) -> int | None:
        # After the first report there is one more. That report, or end of file, means the end.
        if self.stdout is None or self.stdout.closed:
            return -signal.SIGKILL
        poll = select.poll()
        poll.register(self.stdout, select.POLLIN)
        return -signal.SIGKILL if poll.poll(None if timeout is None else timeout * 1000) else None


@dataclass(frozen=True)
class ForkServerClient:
    """Sends requests to a fork server. Can be pickled, for a process that is being started.

    `programs` are those that the fork server forks. `python` are its variables `PYTHON…`: Python
    reads them when it starts, so a fork cannot have others. `starts_all`: the fork server runs in a
    sandbox, so no program may be started without it.
    """

    connection: socket.socket
    programs: tuple[str, ...]
    python: Mapping[str, str]
    starts_all: bool

    def start(self, request: StartRequest, leash: int, log: IO[bytes]) -> ForkedLeash | None:
        """Start a program, with the pipe `leash` as its leash. None: it has to be started as usual.

        Raises ForkServerGone when it must not be started as usual.
        """
        if not self._forks(request):
            if not self.starts_all:
                return None
            request = replace(request, by_exec=True)
        forked = self._request(request, leash, log)
        if forked is None and self.starts_all:
            raise ForkServerGone("the process that starts programs has ended, or does not answer")
        return forked

    def _forks(self, request: StartRequest) -> bool:
        """Whether the program can be forked."""
        python = _python_variables(request.env)
        known = request.argv[:2] == [sys.executable, "-m"] and request.argv[2] in self.programs
        return known and python == self.python and len(request.fds) <= MAX_FDS - 3

    def _request(self, request: StartRequest, leash: int, log: IO[bytes]) -> ForkedLeash | None:
        read_end, report = os.pipe()
        reports = os.fdopen(read_end, "rb")
        try:
            message = json.dumps(asdict(request)).encode()
            socket.send_fds(self.connection, [message], [leash, report, log.fileno(), *request.fds])
        except (OSError, ValueError):  # the fork server has ended, or the request is too long
            reports.close()
            return None
        finally:
            os.close(report)
        # Without a report, the fork server hangs. If it goes on later and forks the program, the
        # leash is released already, and ends the program.
        ready, _, _ = select.select([reports], [], [], REPORT_TIMEOUT)
        word, _, pid = (reports.readline() if ready else b"").decode().partition(" ")
        if word != "leash":
            reports.close()
            return None
        return ForkedLeash(int(pid), reports)


class ForkServer:
    """The process of the fork server, and its `client`.

    `inside` is a command line that comes before its own: that of a sandbox. With it, the fork
    server starts every program. `confine` is called first in the new process. `soon` are the
    programs for which it imports before their first request, when it has nothing else to do.
    """

    def __init__(
        self,
        log: Path,
        env: Mapping[str, str],
        programs: Sequence[str] = PROGRAMS,
        *,
        soon: Sequence[str] = ("uvicorn",),
        inside: Sequence[str] | None = None,
        confine: Callable[[], None] | None = None,
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.client = ForkServerClient(
            ours, tuple(programs), _python_variables(env), starts_all=inside is not None
        )
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(inside or ()),
                    sys.executable,
                    "-u",
                    "-m",
                    "kit.processes.forkserver",
                    *soon,
                ],
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=dict(env),
                start_new_session=True,
                preexec_fn=confine,
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the fork server. The programs that it has forked go on until they are released."""
        self.client.connection.close()
        self._process.kill()
        self._process.wait()


def _python_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The variables for Python itself. The fork server has PYTHONUNBUFFERED anyway."""
    return {
        name: value
        for name, value in env.items()
        if name.startswith("PYTHON") and name != "PYTHONUNBUFFERED"
    }


# The program's side.


class Command:
    """A forked program, with the part of a Popen that leash.py uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = threading.Event()

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. With a `timeout`, as the other thread waits, 0 once there is one."""
        if timeout is not None:
            if not self._ended.wait(timeout):
                raise subprocess.TimeoutExpired("the command", timeout)
            return 0
        # The other thread must know of the end before the system gives the pid to a new process.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._ended.set()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        if not self._ended.is_set():
            os.kill(self.pid, signal.SIGTERM)


def serve(requests: socket.socket, soon: list[tuple[str, ...]]) -> tuple[StartRequest, list[int]]:
    """Fork a leash for each request. Returns in the leashes only.

    While there is no request, it imports the modules in `soon`. The fork server exits when the last
    client has ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the leashes
    while True:
        while soon and not select.select([requests], [], [], 0)[0]:
            import_once(soon.pop(0))
        message, fds, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, MAX_FDS)
        if not message:
            os._exit(0)
        request = StartRequest(**json.loads(message))
        if not request.by_exec:
            import_once(IMPORTS.get(request.argv[2], ()))
            if request.argv[2] == "celery":
                soon.append(NOTEBOOK)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return request, fds
        for fd in fds:
            os.close(fd)


def become_leash(request: StartRequest, fds: list[int]) -> int:
    """Fork the program, and supervise it in this process. Returns in the program only.

    The program has to close the returned file once it handles signals. The leash reports the pid
    then, and not before.
    """
    os.setsid()
    leash.ignore_signals()
    # First move the files to numbers above those that they get.
    high = [_move(fd, above=max([*request.fds, 2]) + 1) for fd in fds]
    for fd, number in zip(high, [0, 1, 2, *request.fds], strict=True):
        os.dup2(fd, number)
    kept = sorted({0, 1, 2, *request.fds})
    for low, next_one in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, next_one)
    leash.report(f"leash {os.getpid()}")
    leash.limit_files(request.largest_file)
    ready, started = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        return started
    os.close(started)
    os.read(ready, 1)
    os.close(ready)
    for fd in request.fds:
        os.close(fd)
    os._exit(leash.supervise(Command(pid), request.grace))


def become_program(request: StartRequest) -> None:
    """Make this process look as if Python had just been started for the program."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for fd in request.fds:
        os.set_inheritable(fd, True)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.cwd)
    if request.by_exec:
        execute(request.argv)
    sys.path.insert(0, request.cwd)
    if shadows_imports(Path(request.cwd)):
        os.execv(sys.executable, request.argv)  # slower, and imports the files of the folder
    sys.argv = request.argv[2:]
    sys.orig_argv = request.argv
    for name in [name for name in sys.modules if name.split(".")[0] == "kit"]:
        del sys.modules[name]


def execute(argv: list[str]) -> NoReturn:
    """Make this process another program, as if it had just been started."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def shadows_imports(folder: Path) -> bool:
    """Whether a file in the folder has the name of a module that is imported already."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.stem in sys.modules and (
                path.suffix == ".py" or (path / "__init__.py").is_file()
            ):
                return True
    return False


def _move(fd: int, above: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above)
    os.close(fd)
    return moved


def set_up_process() -> None:
    """Become the parent of all orphans below, so that they can be found and killed.

    And deny the programs of a submission access to the memory of this process.
    """
    for what, value in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_DUMPABLE, 0)):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)
    sys.path.pop(0)  # the folder of the kit


@functools.cache
def import_once(names: tuple[str, ...]) -> None:
    """Import modules, those of them that can be imported."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, all shared pages of memory


if __name__ == "__main__":
    # On the top level: a program that ends must not unwind functions of the fork server.
    set_up_process()
    soon = [IMPORTS[program] for program in sys.argv[1:]]
    for names in soon[:1]:
        import_once(names)
    request, fds = serve(socket.socket(fileno=os.dup(0)), soon)
    started = become_leash(request, fds)
    become_program(request)
    os.close(started)
    runpy.run_module(request.argv[2], run_name="__main__", alter_sys=True)
