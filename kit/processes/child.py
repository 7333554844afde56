"""A process on a leash: its log, its end, and waiting until it is ready."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import psutil

from kit.errors import KitError, disk_full, is_full
from kit.processes.forkserver import ForkedLeash, ForkServerClient, StartRequest
from kit.workspace import shown

LEASH = Path(__file__).with_name("leash.py")
POLL_INTERVAL = 0.02  # seconds

T = TypeVar("T")


class NotStarted(KitError):
    """There is no such program, or what should start it broke."""

    code = "not_started"


class NotReady(KitError):
    """A process was not ready in time, or ended before it was ready."""


class Child:
    """A process on a leash. Its output is appended to the file `log`.

    `largest_file` limits each file that it writes, in bytes, the log included; 0 means no limit.
    `fork_server` forks the Python programs that it knows; the others are started as usual.
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
        self._reading = threading.Lock()  # several threads may ask whether it has ended
        self._leash_end = -1
        words = [str(word) for word in argv]
        request = StartRequest(words, str(cwd), dict(env), list(pass_fds), grace, largest_file)
        with log.open("ab") as output:
            self._leash = self._fork(request, output) or self._start(request, output)
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
            self._read_exit_code()
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
        """SIGTERM, and SIGKILL after `grace` seconds, for the process and all that it started."""
        if not self.running:
            return
        tree = self._process_tree()
        self._release()
        try:
            self._leash.wait(self.grace + 5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._read_exit_code()
        # A process with a session of its own, as a kernel has, ends a moment later by itself.
        _, stayed = psutil.wait_procs(tree, timeout=2)
        _kill_all(stayed)

    def kill(self) -> None:
        """SIGKILL for the process and all that it started."""
        if not self.running:
            return
        tree = self._process_tree()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        _kill_all(tree)
        try:
            self._leash.wait(5)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            self._leash.wait()
        self._read_exit_code()

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

    def _start(self, request: StartRequest, output: IO[bytes]) -> "subprocess.Popen[bytes]":
        limits = [str(request.grace), str(request.largest_file)]
        with self._new_leash() as leash:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", LEASH, *limits, *request.argv],
                stdin=leash,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=request.cwd,
                env=request.env,
                pass_fds=request.fds,
                start_new_session=True,  # Ctrl-C must reach this process only
            )

    def _fork(self, request: StartRequest, output: IO[bytes]) -> ForkedLeash | None:
        if self._fork_server is None:
            return None
        with self._new_leash() as leash:
            return self._fork_server.start(request, leash, output)

    @contextlib.contextmanager
    def _new_leash(self) -> Iterator[int]:
        """Make the pipe of a new leash, and release the old one. Yields the end for the leash."""
        self._release()
        leash, self._leash_end = os.pipe()
        try:
            yield leash
        except BaseException:
            self._release()
            raise
        finally:
            os.close(leash)

    def _process_tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def _read_exit_code(self) -> None:
        """Read the exit code from the reports, and close the files. Waits for the leash."""
        with self._reading:
            if self._returncode is not None:
                return
            code = self._leash.wait()
            reported = [line.split()[1] for line in self._reports if line.startswith(b"exit ")]
            if not reported:  # the leash was killed, and could not kill the process group
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
            self._returncode = int(reported[0]) if reported else code
            self._close()

    def _release(self) -> None:
        # First forget the number: a KeyboardInterrupt may come between any two lines.
        held, self._leash_end = self._leash_end, -1
        if held >= 0:
            os.close(held)

    def _close(self) -> None:
        self._release()
        self._reports.close()


def wait_until(
    check: Callable[[], T | None],
    what: str,
    timeout: float,
    child: Child | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    *,
    every: float = POLL_INTERVAL,
) -> T:
    """Call `check` every `every` seconds, until it returns something other than None or False.

    Returns that. `meanwhile` is called in between. Raises NotReady after `timeout` seconds, or as
    soon as `child` has ended, with the last lines of its log.
    """
    deadline = time.monotonic() + timeout
    while True:
        ended = child is not None and not child.running
        value = check()
        if value is not None and value is not False:
            return value
        if child is not None and ended:
            message = (
                f"{child.name} ended ({exit_in_words(child.returncode)}) while we waited for {what}"
            )
            fix = f"read {shown(child.log)}"
            if is_full(child.log.parent):  # then the log says nothing
                full = disk_full(message, child.log.parent)
                message, fix = full.message, full.fix
            raise NotReady(message, fix, child.tail())
        if time.monotonic() > deadline:
            raise NotReady(
                f"waited {timeout:g} s for {what}, in vain",
                f"read {shown(child.log)}" if child else "",
                child.tail() if child else "",
            )
        meanwhile()
        time.sleep(every)


def exit_in_words(returncode: int | None) -> str:
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
