"""What of a learner's work was not copied, in sentences: so many names and no more."""

from typing import Literal

from kit.classroom.intake.entries import Kind

NAMED = 3  # in a sentence; of more, it says how many
SHOWN = 100  # characters of a name

Note = Kind | Literal["odd", "twice", "no folder"]
WHY_NOT: dict[Note, str] = {
    "outside": "leads out of the archive",
    "link": "links are not followed",
    "special": "neither file nor folder",
    "unreadable": "cannot be read",
    "odd": "not plain text for a name",
    "twice": "the name was there already, perhaps in upper or lower case",
    "no folder": "an exercise has to be a folder",
}


class NotCopied:
    """What was not copied, by the reason."""

    def __init__(self) -> None:
        self._found: dict[Note, tuple[list[str], int]] = {}  # some names, and how many there are

    def add(self, name: str, why: Note) -> None:
        names, count = self._found.get(why, ([], 0))
        self._found[why] = ([*names, readable(name)][:NAMED], count + 1)

    def sentences(self) -> list[str]:
        return [
            f"Not copied: {_enumerated(*self._found[note])} ({why})."
            for note, why in WHY_NOT.items()
            if note in self._found
        ]


def readable(name: str) -> str:
    """A name that may hold anything, to show."""
    cut = name if len(name) <= SHOWN else f"{name[:SHOWN]}…"
    plain = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)
    return plain.strip() or repr(plain)


def _enumerated(names: list[str], count: int) -> str:
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return ", ".join(names) + more
