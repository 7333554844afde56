"""A process that has the imports ready, and forks Python programs that need not import them again.

Most of the time that `python -m uvicorn` or `python -m celery` take to start goes into imports.
`watch` checks after every save, so there this process is kept at hand: it imports once, and forks
what Child asks for. Every program runs on a leash with the contract of leash.py: it gets a session
of its own, and dies with the program that asked for it. Whatever cannot be done this way, or stops
working, is started the common way instead.

`grade` has another use for it: started in a sandbox, it starts there whatever it is asked for, by
an exec where a fork will not do. Then nothing is started the common way: that would be outside.

This file is both sides: the kit imports it to ask, and runs it as a program to be asked. It is for
Linux only: the libraries of macOS do not survive a fork.
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

PATIENCE = 20.0  # seconds until the first report: the first one waits for the imports as well
LONGEST = 1 << 20  # bytes of one order
MOST_FDS = 16
PR_SET_DUMPABLE = 4  # these from Linux's prctl.h
PR_SET_CHILD_SUBREAPER = 36

# What we fork, and what that imports when it is started for a project of the course.
IMPORTS = {
    "uvicorn": (
        *("uvicorn.main", "uvicorn.loops.auto", "uvicorn.lifespan.on", "httptools", "uvloop"),
        *("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"),
        *("fastapi", "fastapi.responses", "pydantic", "pydantic.v1"),
    ),
    "celery": (
        *("celery.bin.celery", "celery.bin.worker", "celery.apps.worker", "celery.worker.consumer"),
        *("celery.worker.request", "celery.concurrency.prefork", "celery.backends.redis"),
        *("celery.fixups.django", "kombu.transport.redis", "redis", "nbclient", "nbformat"),
        *("pydantic_settings", "sqlalchemy", "sqlalchemy.dialects.sqlite", "prometheus_client"),
    ),
}
PROGRAMS = tuple(IMPORTS)


@dataclass(frozen=True)
class Order:
    """What to start. `fds` are the files to pass on, under the numbers that they have here.

    `fresh`: by an exec, because what a fork of the server is will not do.
    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    fds: list[int]
    grace: float
    largest_file: int
    fresh: bool = False


class ForkServerGone(KitError):
    """The fork server does not do what it is asked for."""

    code = "fork_server_gone"


class Forked:
    """The leash of a forked program, as much of it as Child uses of a Popen."""

    def __init__(self, pid: int, reports: IO[bytes]) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = reports

    def poll(self) -> int | None:
        """Something other than None once it has ended. (The code itself is in its report.)"""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("the leash", timeout or 0)
        return code

    def kill(self) -> None:
        """End the leash itself."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        # After the first there is one report more, the last: that, or end of file, means the end.
        if self.stdout is None or self.stdout.closed:
            return -signal.SIGKILL
        poll = select.poll()
        poll.register(self.stdout, select.POLLIN)
        return -signal.SIGKILL if poll.poll(None if timeout is None else timeout * 1000) else None


@dataclass(frozen=True)
class ForkServerClient:
    """What asks a fork server to start programs. A process may hand it on to others.

    `programs` are those that the server forks. Python reads the variables in `python` when it
    starts, so a fork has the server's. `starts_all`: the server runs in a sandbox, so nothing may
    be started without it.
    """

    connection: socket.socket
    programs: tuple[str, ...]
    python: Mapping[str, str]
    starts_all: bool

    def start(self, order: Order, held: int, log: IO[bytes]) -> Forked | None:
        """Fork it on the leash `held`, or None: then it has to be started the common way.

        Raises KitError when it must not be.
        """
        if not self._forks(order):
            if not self.starts_all:
                return None
            order = replace(order, fresh=True)
        forked = self._ask(order, held, log)
        if forked is None and self.starts_all:
            raise ForkServerGone("the process that starts programs has ended, or does not answer")
        return forked

    def _forks(self, order: Order) -> bool:
        """Whether a fork of the server will do."""
        python = _python_variables(order.env)
        known = order.argv[:2] == [sys.executable, "-m"] and order.argv[2] in self.programs
        return known and python == self.python and len(order.fds) <= MOST_FDS - 3

    def _ask(self, order: Order, held: int, log: IO[bytes]) -> Forked | None:
        told, report = os.pipe()
        reports = os.fdopen(told, "rb")
        try:
            message = json.dumps(asdict(order)).encode()
            socket.send_fds(self.connection, [message], [held, report, log.fileno(), *order.fds])
        except (OSError, ValueError):  # it is gone, or does not keep up, or the order is too long
            reports.close()
            return None
        finally:
            os.close(report)
        # Silence means that it is stuck; should it wake up, it finds the leash let go of.
        ready, _, _ = select.select([reports], [], [], PATIENCE)
        word, _, pid = (reports.readline() if ready else b"").decode().partition(" ")
        if word != "leash":
            reports.close()
            return None
        return Forked(int(pid), reports)


class ForkServer:
    """The fork server's process, and the `client` that asks it.

    `inside` is a command line before its own: that of a sandbox. With one, it starts everything,
    and what it cannot start is not started at all. `confine` is called in the new process first.
    """

    def __init__(
        self,
        log: Path,
        env: Mapping[str, str],
        programs: Sequence[str] = PROGRAMS,
        *,
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
                    *programs,
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
        """End it. What it has forked goes on until its leash is let go of."""
        self.client.connection.close()
        self._process.kill()
        self._process.wait()


def _python_variables(env: Mapping[str, str]) -> dict[str, str]:
    """What configures Python itself, without PYTHONUNBUFFERED: the fork server has that anyway."""
    return {
        name: value
        for name, value in env.items()
        if name.startswith("PYTHON") and name != "PYTHONUNBUFFERED"
    }


# From here on: the program's side.


class Command:
    """A forked program, as much of it as leash.py uses of a Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = threading.Event()

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. With a `timeout` (the other thread's) only whether there is one."""
        if timeout is not None:
            if not self._ended.wait(timeout):
                raise subprocess.TimeoutExpired("the command", timeout)
            return 0
        # Known to have ended before its pid is free for another.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._ended.set()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        if not self._ended.is_set():
            os.kill(self.pid, signal.SIGTERM)


def serve(orders: socket.socket) -> tuple[Order, list[int]]:
    """Fork a leash for each order. Returns in the leashes only; exits when nobody can ask more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries our dead
    while True:
        message, fds, _, _ = socket.recv_fds(orders, LONGEST, MOST_FDS)
        if not message:
            os._exit(0)
        order = Order(**json.loads(message))
        if not order.fresh:
            import_for(order.argv[2])
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return order, fds
        for fd in fds:
            os.close(fd)


def become_leash(order: Order, fds: list[int]) -> int:
    """Fork the program and keep it on the leash. Returns in the program only.

    What is returned has to be closed once the program can take signals: its pid is told then.
    """
    os.setsid()
    leash.be_deaf()
    # Out of the way of the numbers that they shall have.
    high = [_moved(fd, above=max([*order.fds, 2]) + 1) for fd in fds]
    for fd, number in zip(high, [0, 1, 2, *order.fds], strict=True):
        os.dup2(fd, number)
    kept = sorted({0, 1, 2, *order.fds})
    for low, next_one in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, next_one)
    leash.report(f"leash {os.getpid()}")
    leash.limit_files(order.largest_file)
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        return tell
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    for fd in order.fds:
        os.close(fd)
    os._exit(leash.attend(Command(pid), order.grace))


def become_program(order: Order) -> None:
    """Make this process look as if Python had just been started for the program."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # it has nothing of ours any more
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for fd in order.fds:
        os.set_inheritable(fd, True)
    os.environ.clear()
    os.environ.update(order.env)
    os.chdir(order.cwd)
    if order.fresh:
        execute(order.argv)
    sys.path.insert(0, order.cwd)
    if shadowed(Path(order.cwd)):
        os.execv(sys.executable, order.argv)  # slowly, but it finds what is meant
    sys.argv = order.argv[2:]
    sys.orig_argv = order.argv
    for name in [name for name in sys.modules if name.split(".")[0] == "kit"]:
        del sys.modules[name]


def execute(argv: list[str]) -> NoReturn:
    """Make this process another program, as if it had just been started."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def shadowed(folder: Path) -> bool:
    """Whether something in the folder would be imported instead of what is imported already."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.stem in sys.modules and (
                path.suffix == ".py" or (path / "__init__.py").is_file()
            ):
                return True
    return False


def _moved(fd: int, above: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above)
    os.close(fd)
    return moved


def keep_to_ourselves() -> None:
    """Have orphans of what we fork become our children, so that they can be found; and what we fork
    may not look into us.
    """
    for what, value in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_DUMPABLE, 0)):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)
    sys.path.pop(0)  # our own folder


@functools.cache
def import_for(program: str) -> None:
    """Import what the program will, once."""
    for name in IMPORTS.get(program, ()):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or the next collection would touch, and so copy, all pages that forks share


if __name__ == "__main__":
    # On the top level, so that a program that ends unwinds nothing of ours.
    keep_to_ourselves()
    import_for(sys.argv[1])  # the others once they are asked for: not every project has a worker
    order, fds = serve(socket.socket(fileno=os.dup(0)))
    tell = become_leash(order, fds)
    become_program(order)
    os.close(tell)
    runpy.run_module(order.argv[2], run_name="__main__", alter_sys=True)
