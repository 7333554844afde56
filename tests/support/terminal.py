"""A pseudo-terminal in which a command runs: its screen can be read, and keys pressed."""

import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TIMEOUT = 90.0  # seconds; only a test that fails waits so long
CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """`./workshop WORDS` at a terminal. At the end of the block, the command is stopped.

    `columns`: how wide it is; by default, the environment says it.
    """

    def __init__(self, *words: str, cwd: Path, env: dict[str, str], columns: int = 0) -> None:
        self.master, self.slave = os.openpty()
        if columns:
            termios.tcsetwinsize(self.slave, (40, columns))
            env = {name: value for name, value in env.items() if name != "COLUMNS"}
        self.before = self.modes()
        self.raw = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kit", *words],
            cwd=cwd,
            env={"TERM": "xterm", **env},
            preexec_fn=lambda: os.login_tty(self.slave),
            pass_fds=[self.slave],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    @property
    def text(self) -> str:
        """All output so far, without codes for colours."""
        return CODES.sub("", self.raw.decode(errors="replace")).replace("\r\n", "\n")

    def modes(self) -> list[Any]:
        """The attributes of the terminal."""
        return termios.tcgetattr(self.slave)

    def wait_for(self, words: str, times: int = 1) -> str:
        """Wait until `words` have been printed so many times. Returns all output so far."""
        deadline = time.monotonic() + TIMEOUT
        while self.text.count(words) < times:
            assert time.monotonic() < deadline, f"no {words!r} in:\n{self.text}"
            assert self._read() or self.process.poll() is None, f"no {words!r} in:\n{self.text}"
        return self.text

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait(self) -> int:
        """Wait for the end of the command. Returns its exit code."""
        deadline = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"the command does not end:\n{self.text}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], 0.1)
        if ready:
            self.raw += os.read(self.master, 65536)
        return bool(ready)
