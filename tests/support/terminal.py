"""A terminal of our own: what is on its screen, and keys to press."""

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

PATIENCE = 90.0  # seconds; only what fails waits so long
CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """`./workshop WORDS`, typed at a terminal. Leaving the block ends it."""

    def __init__(self, *words: str, cwd: Path, env: dict[str, str]) -> None:
        self.master, self.slave = os.openpty()
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
        """All that was printed, without colours."""
        return CODES.sub("", self.raw.decode(errors="replace")).replace("\r\n", "\n")

    def modes(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self.slave)

    def shows(self, words: str, times: int = 1) -> str:
        """Wait until `words` have been printed so many times. Returns all there is."""
        deadline = time.monotonic() + PATIENCE
        while self.text.count(words) < times:
            assert time.monotonic() < deadline, f"no {words!r} in:\n{self.text}"
            assert self._read() or self.process.poll() is None, f"no {words!r} in:\n{self.text}"
        return self.text

    def presses(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ends(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.text}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], 0.1)
        if ready:
            self.raw += os.read(self.master, 65536)
        return bool(ready)
