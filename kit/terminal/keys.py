"""Single key presses from a terminal."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType


class Keys:
    """The keyboard, one key at a time; no keys at all where standard input is no terminal."""

    def __init__(self) -> None:
        self.fd = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else -1

    def __bool__(self) -> bool:
        return self.fd >= 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Read keys without Enter and without echo. The terminal is always restored at the end."""
        if not self:
            yield
            return
        if not self.in_front:
            yield  # the terminal is another's
            return
        before = termios.tcgetattr(self.fd)

        def listen_again(number: int, frame: FrameType | None) -> None:
            self._listen()  # the shell had the terminal after Ctrl-Z

        handler = signal.signal(signal.SIGCONT, listen_again)
        try:
            self._listen()
            yield
        finally:
            signal.signal(signal.SIGCONT, handler)
            if self.in_front:
                termios.tcsetattr(self.fd, termios.TCSADRAIN, before)

    @property
    def in_front(self) -> bool:
        """Whether the terminal's keys are for this process.

        The system stops a process in the background that reads keys, or changes the terminal.
        """
        with contextlib.suppress(OSError):
            return bool(self) and os.tcgetpgrp(self.fd) == os.getpgrp()
        return False

    def pressed(self) -> str:
        """The keys that have been pressed, without waiting for one; empty for none."""
        if not self.in_front:
            return ""
        ready, _, _ = select.select([self.fd], [], [], 0)
        return self.read() if ready else ""

    def read(self) -> str:
        """The keys that were pressed, all that have arrived; a key like F1 counts for none.

        Empty means that the terminal is gone.
        """
        text = os.read(self.fd, 1024).decode(errors="replace")
        return " " if text.startswith("\x1b") else text

    def _listen(self) -> None:
        with contextlib.suppress(termios.error):
            if self.in_front:
                tty.setcbreak(self.fd)
