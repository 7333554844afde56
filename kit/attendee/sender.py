"""Sends what waits in the outbox. `python -m kit.attendee.sender` does it once, and ends.

After a `check`, this is a process of its own, so that the check does not wait for the room.
"""

import signal
import subprocess
import sys
import time
from typing import Any

from kit.attendee import outbox
from kit.attendee.calls import Refused, Unreachable, call
from kit.attendee.membership import Membership, load
from kit.workspace import ROOT

BATCH = 50  # events of one request
SEND_TIMEOUT = 20  # seconds of a process of its own, whatever the room does
NOT_UNDERSTOOD = (400, 413, 422)  # sent again, these events would be refused again


def send_waiting(here: Membership, *, wait: bool = False) -> dict[str, Any] | None:
    """Send what waits. Returns the room's last answer, which has the pace; None for nothing sent.

    Raises Unreachable or Refused. Then it goes on waiting.
    """
    answer = None
    with outbox.one_sender(wait=wait) as mine:
        while mine and (events := outbox.unsent(BATCH)):
            body = {"sent_at": time.time(), "events": events}
            try:
                answer = call("POST", here.address, "/room/events", body, token=here.token)
            except Refused as error:
                if error.status not in NOT_UNDERSTOOD:
                    raise
            outbox.delete(events)
    return answer


def start_sending() -> None:
    """Send what waits from a process of its own, if the attendee is in a room."""
    here = load()
    if here is None or here.left or not outbox.unsent(1):
        return
    try:
        subprocess.Popen(
            [sys.executable, "-m", "kit.attendee.sender"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is meant for the check
        )
    except OSError:
        return  # the next check tries it again


def main() -> None:
    """Send once. A room that does not answer gets it next time."""
    signal.alarm(SEND_TIMEOUT)
    here = load()
    if here is not None and not here.left:
        try:
            send_waiting(here, wait=True)
        except (Unreachable, Refused):
            return


if __name__ == "__main__":
    main()
