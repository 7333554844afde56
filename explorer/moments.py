"""Moments: what happens once, without a command, at any point of a schedule."""

from collections.abc import Callable
from time import monotonic

from explorer.commands import Command
from explorer.data import Data
from explorer.trace import Step


class Moment:
    """Something that happens once, at any point: time passes, say. `act` does it."""

    def __init__(self, name: str, what: str, act: Callable[[], object]) -> None:
        self.name, self.what, self.act = name, what, act
        self.ended = False

    @property
    def next(self) -> None:
        """No command."""

    def start(self) -> None:
        """It has not happened yet."""
        self.ended = False

    def settle(self, seconds: float) -> bool:
        """Nothing to wait for."""
        return True

    def ready(self, data: Data) -> bool:
        """It can always happen, once."""
        return not self.ended

    def take(self, data: Data, began: float, timeout: float) -> Step:
        """Let it happen."""
        self.act()
        self.ended = True
        return Step(self.name, Command((self.what,)), at=monotonic() - began, event=True)

    def woken(self, data: Data, began: float, seconds: float) -> None:
        """It never waits."""

    def outcome(self) -> None:
        """It has none."""

    def release(self) -> None:
        """It holds nothing."""

    def end(self, seconds: float) -> bool:
        """It takes no time."""
        return True


def time_passes(data: Data, seconds: float) -> Moment:
    """The moment at which so much time has passed for all keys that end by themselves."""
    return Moment("time", f"{seconds:g} s pass", lambda: data.advance(seconds))
