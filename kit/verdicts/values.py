"""Texts that differ from one grading to the next, noted where they are made.

When a class is graded twice, an unchanged submission should give the same report to the byte. So
the code that makes a port, an id or a duration notes it here, and the reports write a name in its
place: see kit.classroom.normalise. A grader process grades one project, so there is one list.
"""

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SHORTEST = 6  # characters of an id that a project has made
RUN_FIELDS = ("run_id", "running")  # fields of an answer that name a run
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


class Kind(StrEnum):
    """What kind of value a text is."""

    RUN = "run"  # the id of a run
    NAME = "name"  # made up by the grader, so that it is unique
    PORT = "port"
    PID = "pid"
    SECONDS = "seconds"  # a measured duration
    TIME = "time"  # a moment
    COUNT = "count"  # a number that depends on a race
    FOLDER = "folder"  # a temporary folder


@dataclass(frozen=True)
class Value:
    """One noted text."""

    kind: Kind
    text: str


_noted: dict[Value, None] = {}  # a set that keeps its order


def note(kind: Kind, text: object) -> str:
    """Note that this text differs each time. Returns it as text, for a message."""
    _noted[Value(kind, str(text))] = None
    return str(text)


def noted() -> tuple[Value, ...]:
    """All values noted since `forget`, in the order in which they were noted."""
    return tuple(_noted)


def forget() -> None:
    """Empty the list, before another project is graded."""
    _noted.clear()


def duration(seconds: float) -> str:
    """A measured duration, as it is shown."""
    return note(Kind.SECONDS, f"{seconds:.1f} s")


def times(count: int) -> str:
    """How often something happened in a race, where the number is chance."""
    return note(Kind.COUNT, f"{count} times")


def unique(name: str, size: int = 4) -> str:
    """A unique name: `name` and `size` random bytes, in hexadecimal digits."""
    return note(Kind.NAME, f"{name}-{secrets.token_hex(size)}")


def note_answer(body: Any) -> None:
    """Note the run ids and the times in a JSON answer.

    The project made them, so their form is checked: a word or a counter is not noted.
    """
    if isinstance(body, list):
        for each in body:
            note_answer(each)
    elif isinstance(body, dict):
        for name, value in body.items():
            if isinstance(value, dict | list):
                note_answer(value)
            elif not isinstance(value, str):
                continue
            elif name in RUN_FIELDS and _looks_random(value):
                note(Kind.RUN, value)
            elif ISO_TIME.match(value):
                note(Kind.TIME, value)


def _looks_random(text: str) -> bool:
    if len(text) < SHORTEST or not re.fullmatch(r"[\w-]+", text):
        return False
    return bool(re.search(r"\d", text)) or bool(re.fullmatch(r"[0-9a-f]{8,}", text))
