"""In which room the attendee is, kept in `.workshop/attendee/`."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kit.storage import write_whole
from kit.workspace import workspace


@dataclass(frozen=True)
class Membership:
    """One room. `token` proves to the room that this is the attendee called `name`.

    `left`: the attendee has left, and the room has not deleted yet what it knows.
    """

    address: str
    name: str
    token: str
    left: bool = False


def folder() -> Path:
    """Where the attendee's side keeps its files."""
    return workspace().state / "attendee"


def load() -> Membership | None:
    """The room of this attendee; None where there is none, or the file cannot be used."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Membership(**json.loads(_file().read_text(encoding="utf-8")))
    return None


def save(membership: Membership) -> None:
    """Write it down. Only this user may read the token."""
    folder().mkdir(parents=True, exist_ok=True)
    folder().chmod(0o700)
    write_whole(_file(), json.dumps(asdict(membership)).encode())


def delete() -> None:
    """Forget the room, and what was not sent."""
    for file in folder().glob("*.json"):
        file.unlink(missing_ok=True)


def _file() -> Path:
    return folder() / "membership.json"
