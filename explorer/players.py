"""What a schedule needs to know of its players: of actors and of moments."""

from typing import Protocol

from explorer.commands import Command
from explorer.data import Data
from explorer.trace import Outcome, Step


class Player(Protocol):
    """Whatever takes one step at a time."""

    @property
    def name(self) -> str: ...

    @property
    def ended(self) -> bool: ...

    @property
    def next(self) -> Command | None:
        """The command that it would send next; None: it has none, or it is no command."""

    def start(self) -> None: ...

    def settle(self, seconds: float) -> bool:
        """Wait until it is known what it does next. False: it is not, after this time."""

    def ready(self, data: Data) -> bool:
        """Whether it could go on."""

    def take(self, data: Data, began: float, timeout: float) -> Step | None:
        """Take one step. None: it has none to take."""

    def woken(self, data: Data, began: float, seconds: float) -> Step | None:
        """The step that had been left without an answer, if the answer comes in this time."""

    def outcome(self) -> Outcome | None: ...

    def release(self) -> None:
        """Let it do what it likes."""

    def end(self, seconds: float) -> bool:
        """Wait until it has ended. False: it has not, in this time."""
