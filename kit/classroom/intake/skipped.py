"""The entries of a submission that were not copied, as sentences with a few names each."""

from typing import Literal

from kit.classroom.intake.entries import Kind

MAX_NAMES = 3  # in a sentence, which then says how many more there are
MAX_NAME_CHARACTERS = 100

SkipReason = Kind | Literal["unprintable name", "duplicate name", "not a folder"]
REASON_TEXTS: dict[SkipReason, str] = {
    "outside": "leads out of the archive",
    "link": "links are not followed",
    "special": "neither file nor folder",
    "unreadable": "cannot be read",
    "unprintable name": "not plain text for a name",
    "duplicate name": "the name was there already, perhaps in upper or lower case",
    "not a folder": "an exercise has to be a folder",
}


class SkippedEntries:
    """The entries that were not copied, by reason."""

    def __init__(self) -> None:
        # For each reason: the first names, and the number of all entries.
        self._by_reason: dict[SkipReason, tuple[list[str], int]] = {}

    def add(self, name: str, reason: SkipReason) -> None:
        names, count = self._by_reason.get(reason, ([], 0))
        self._by_reason[reason] = ([*names, printable_name(name)][:MAX_NAMES], count + 1)

    def sentences(self) -> list[str]:
        """One sentence for each reason, in a fixed order."""
        return [
            f"Not copied: {_enumerated(*self._by_reason[reason])} ({text})."
            for reason, text in REASON_TEXTS.items()
            if reason in self._by_reason
        ]


def printable_name(name: str) -> str:
    """`name` for a sentence: cut when it is long, and escaped where it cannot be printed."""
    cut = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}…"
    plain = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)
    return plain.strip() or repr(plain)


def _enumerated(names: list[str], count: int) -> str:
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return ", ".join(names) + more
