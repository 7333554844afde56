"""One process on a leash, its log, and waiting for it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import psutil

from kit.errors import KitError
from kit.processes.forkserver import Forked, ForkServerClient, Order
from kit.workspace import shown

LEASH = Path(__file__).with_name("leash.py")
POLL = 0.02  # seconds

T = TypeVar("T")


class NotStarted(KitError):
    """There is no such program, or what should start it broke."""

    code = "not_started"


class NotReady(KitError):
    """What was waited for did not come, or its process ended first."""


class Child:
    """A process on a leash. Its output goes straight to the end of the file `log`.

    `largest_file` limits what it may write into one file, the log included; 0 means no limit.
    `fork_server`: Python programs that it has imported are forked from it instead of started.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        log: Path,
        *,
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        grace: float = 10.0,
        largest_file: int = 0,
        fork_server: ForkServerClient | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.grace = grace
        self._fork_server = fork_server
        self.started = time.monotonic()
        self._begin = log.stat().st_size if log.exists() else 0
        self._returncode: int | None = None
        self._held = -1
        words = [str(word) for word in argv]
        order = Order(words, str(cwd), dict(env), list(pass_fds), grace, largest_file)
        with log.open("ab") as output:
            self._leash = self._fork(order, output) or self._start(order, output)
        assert self._leash.stdout is not None
        self._reports: IO[bytes] = self._leash.stdout
        word, _, rest = self._reports.readline().decode().strip().partition(" ")
        if word != "pid":
            self._leash.wait()
            self._close()
            raise NotStarted(f"{name} cannot be started: {rest or 'its leash broke'}")
        self.pid = int(rest)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._returncode is None and self._leash.poll() is not None:
            self._settle()
        return self._returncode

    @property
    def running(self) -> bool:
        return self.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal to the process itself; nothing when it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """The exit code, once there is one. Raises TimeoutError after `timeout` seconds."""
        try:
            self._leash.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout:g} s") from None
        code = self.returncode
        assert code is not None
        return code

    def stop(self) -> None:
        """SIGTERM, up to `grace` seconds, SIGKILL: for it and all it started."""
        if not self.running:
            return
        family = self._family()
        self._let_go()
        try:
            self._leash.wait(self.grace + 5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._settle()
        # Those who moved to a session of their own, as kernels do, get a moment to follow.
        _, stayed = psutil.wait_procs(family, timeout=2)
        _kill_all(stayed)

    def kill(self) -> None:
        """SIGKILL for it and all it started, at once."""
        if not self.running:
            return
        family = self._family()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        _kill_all(family)
        try:
            self._leash.wait(5)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            self._leash.wait()
        self._settle()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 64 * 1024))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def output(self) -> str:
        """All it has written since it was started."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode(errors="replace")
        return ""

    def _start(self, order: Order, output: IO[bytes]) -> "subprocess.Popen[bytes] | Forked":
        limits = [str(order.grace), str(order.largest_file)]
        with self._new_leash() as leash:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", LEASH, *limits, *order.argv],
                stdin=leash,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=order.cwd,
                env=order.env,
                pass_fds=order.fds,
                start_new_session=True,  # Ctrl-C is for us; who is told what, we decide
            )

    def _fork(self, order: Order, output: IO[bytes]) -> Forked | None:
        if self._fork_server is None:
            return None
        with self._new_leash() as leash:
            return self._fork_server.start(order, leash, output)

    @contextlib.contextmanager
    def _new_leash(self) -> Iterator[int]:
        """Hold a new leash, and let go of the one before. Yields the end that is not held."""
        self._let_go()
        leash, self._held = os.pipe()
        try:
            yield leash
        except BaseException:
            self._let_go()
            raise
        finally:
            os.close(leash)

    def _family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def _settle(self) -> None:
        """Read the exit code and close what is open, once the leash has ended."""
        if self._returncode is not None:
            return
        code = self._leash.wait()
        reported = [line.split()[1] for line in self._reports if line.startswith(b"exit ")]
        if not reported:  # somebody killed the leash: its work is ours
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._returncode = int(reported[0]) if reported else code
        self._close()

    def _let_go(self) -> None:
        held, self._held = self._held, -1  # first, for Ctrl-C may come between any two lines
        if held >= 0:
            os.close(held)

    def _close(self) -> None:
        self._let_go()
        self._reports.close()


def wait_until(
    check: Callable[[], T | None],
    what: str,
    timeout: float,
    child: Child | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    *,
    every: float = POLL,
) -> T:
    """Call `check` until it returns something other than None or False, and return that.

    `meanwhile` is called between the looks, which are `every` so many seconds.

    Raises NotReady after `timeout` seconds, or as soon as `child` has ended, with its last words.
    """
    deadline = time.monotonic() + timeout
    while True:
        ended = child is not None and not child.running
        value = check()
        if value is not None and value is not False:
            return value
        if child is not None and ended:
            raise NotReady(
                f"{child.name} ended ({ending(child.returncode)}) while we waited for {what}",
                f"read {shown(child.log)}",
                child.tail(),
            )
        if time.monotonic() > deadline:
            raise NotReady(
                f"waited {timeout:g} s for {what}, in vain",
                f"read {shown(child.log)}" if child else "",
                child.tail() if child else "",
            )
        meanwhile()
        time.sleep(every)


def ending(returncode: int | None) -> str:
    """A return code in words."""
    if returncode is None:
        return "still running"
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _kill_all(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
