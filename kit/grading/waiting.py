"""Waiting for what comes about soon, and knowing when the machine was too busy for it."""

import math
import threading
import time
from collections.abc import Callable
from typing import Self

POLL_INTERVAL = 0.02  # seconds
STALL = 0.2  # seconds that a process stood still
TIMEOUT = 30.0  # seconds for steps that take long on a busy machine only


def eventually(check: Callable[[], object], seconds: float = TIMEOUT) -> bool:
    """Wait until `check` is true. Whether it was true in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL)
    return True


class Stalls:
    """Notes when this process was not let go on in time. Then other processes were not, either.

    Where seconds pass for real, a process that stood still may have missed its turn. What such a
    test has seen tells nothing of the project.
    """

    def __init__(self) -> None:
        self._last = -math.inf
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join()

    def since(self, began: float) -> bool:
        """Whether there was one since that time, of `time.monotonic`."""
        return self._last >= began

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._over.wait(POLL_INTERVAL):
            now = time.monotonic()
            if now > began + POLL_INTERVAL + STALL:
                self._last = now
            began = now
