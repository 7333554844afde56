"""Signals that end this program: it takes away what it has begun, and nothing interrupts that."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@contextmanager
def unwinding() -> Iterator[None]:
    """The first of these signals leaves the block as an exception does."""
    before = {number: signal.signal(number, _leave) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore() -> None:
    """From now on, these signals do nothing: this program is about to end."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    ignore()
    print(f"Ended by {signal.Signals(number).name}: taking the containers away.", flush=True)
    sys.exit(128 + number)
