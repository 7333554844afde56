"""The link between `watch` and the room: a thread that sends, and asks for the pace."""

import contextlib
import threading
from dataclasses import dataclass
from typing import Self

from kit.attendee import outbox
from kit.attendee.calls import Refused, Unreachable, call
from kit.attendee.membership import Membership, load
from kit.attendee.sender import send_waiting

INTERVAL = 5.0  # seconds between two calls, when there is nothing to tell
GARBAGE = (LookupError, TypeError, ValueError)  # what answers may be no room


@dataclass(frozen=True)
class Pace:
    """Where the room is: the exercise that the instructor has marked, and whether time is up.

    `next` is the exercise that the room's agenda has after it.
    """

    now: str = ""  # "05-one-job"
    time_up: bool = False
    next: str = ""


class Link:
    """Sends and asks in the background. Nothing here waits for the room, and nothing fails."""

    def __init__(self) -> None:
        self.here = _current()
        self.pace = Pace()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="room", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # It may be in the middle of a call, and is not waited for: it is a daemon.
        self._stopped = True
        self._wake.set()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped:
            self.here = _current()
            if self.here is None:
                self.pace = Pace()
            else:
                # Without a room, watch goes on as if there had never been one.
                with contextlib.suppress(Unreachable, Refused, OSError, *GARBAGE):
                    self._exchange(self.here)
            self._wake.wait(INTERVAL)
            self._wake.clear()

    def _exchange(self, here: Membership) -> None:
        told = send_waiting(here) or call("GET", here.address, "/room/pace", token=here.token)
        self.pace = Pace(str(told["now"]), bool(told["time_up"]), str(told["next"]))
        if outbox.asks_for_help() and not told["help"] and not outbox.unsent(1):
            outbox.note_helped()


def _current() -> Membership | None:
    here = load()
    return here if here is not None and not here.left else None
