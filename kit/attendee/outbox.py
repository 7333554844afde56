"""What the room is to be told, in a file until it has been sent.

Every change is made under a lock and written whole, because `check` and `watch` may write at the
same time. Each event has a number that grows, so the room can tell what it has had already.
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.attendee import membership
from kit.storage import write_whole

# What stands in the request, in words that are shown before anything is sent.
SENT = (
    "which exercise you have checked, and how often",
    "the state of each of its tasks: passed, failed, or not reached",
    "which of the demands in the exercise's text is not met yet, by its name",
    "how many minutes you have been at the exercise",
    "when you ask for help, and when you take it back",
)
NEVER_SENT = "Never your code, and never what it prints."
LONGEST = 200  # events that wait; of more, an old one gives way to a newer one
SECONDS, DAY = 60, 24 * 60

Event = dict[str, Any]


def note_verdict(
    exercise: str, states: Mapping[str, str], failed_test: str = "", *, before: bool = False
) -> None:
    """Note the result of a check. Nothing happens where the attendee is in no room.

    `before`: it is older than the room, and no check that the room counts.
    """
    with _changing() as box:
        now = time.time()
        known = box["exercises"].setdefault(exercise, {"began": now, "checks": 0})
        known["checks"] += 0 if before else 1
        minutes = min(DAY, max(0, round((now - known["began"]) / SECONDS)))
        _add(
            box,
            kind="verdict",
            exercise=exercise,
            tasks=dict(states),
            test=failed_test,
            checks=known["checks"],
            minutes=minutes,
        )


def note_help(exercise: str, task: str, *, wanted: bool) -> None:
    """Note that the attendee asks for help with a task, or takes it back."""
    with _changing() as box:
        box["help"] = wanted
        _add(box, kind="help", exercise=exercise, task=task, wanted=wanted)


def asks_for_help() -> bool:
    """Whether the attendee has asked for help, and not taken it back."""
    return bool(_read()["help"])


def note_helped() -> None:
    """The instructor says that the attendee has been helped."""
    with _changing() as box:
        box["help"] = False


def unsent(limit: int) -> list[Event]:
    """The oldest events that have not been sent."""
    events: list[Event] = _read()["events"]
    return events[:limit]


def delete(sent: Sequence[Event]) -> None:
    """The room has these events: they need not be sent again."""
    numbers = {event["seq"] for event in sent}
    with _changing() as box:
        box["events"] = [event for event in box["events"] if event["seq"] not in numbers]


@contextlib.contextmanager
def one_sender(*, wait: bool) -> Iterator[bool]:
    """Whether this process may send now. With `wait`, it waits until no other process sends."""
    with (membership.folder() / "sending.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _add(box: dict[str, Any], **event: Any) -> None:
    box["seq"] += 1
    events: list[Event] = box["events"]
    events.append({"seq": box["seq"], "at": time.time(), **event})
    if len(events) > LONGEST:
        # The newest event of an exercise says all that the older ones of its kind have said.
        newer = {(each["kind"], each["exercise"]): each["seq"] for each in events}
        old = next(
            (each for each in events if newer[each["kind"], each["exercise"]] != each["seq"]),
            events[0],
        )
        events.remove(old)


@contextlib.contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """Read, change, write. What goes wrong is of no concern to the check that tells of it."""
    here = membership.load()
    box = _empty()
    if here is None or here.left:
        yield box
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            lock = stack.enter_context((membership.folder() / "outbox.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        box = _read()
        yield box
        with contextlib.suppress(OSError):
            write_whole(_file(), json.dumps(box).encode())


def _read() -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {**_empty(), **json.loads(_file().read_text(encoding="utf-8"))}
    return _empty()


def _empty() -> dict[str, Any]:
    # A file that was lost must not make the numbers begin again: the room would take none of them.
    return {"seq": int(time.time()), "exercises": {}, "help": False, "events": []}


def _file() -> Path:
    return membership.folder() / "outbox.json"
