"""What a learner reads when something is not right yet."""

LONGEST = 600  # characters of an answer that are quoted


class Wrong(Exception):
    """A task is not done. Never a grader's own mistake.

    `did` is a line to paste, `expected` and `got` say what should have come back and what did,
    `where` is the file and the function to look at.
    """

    def __init__(self, did: str, expected: str, got: str, where: str = "") -> None:
        self.did = did
        self.expected = expected
        self.got = got
        self.where = where
        lines = {"We did": did, "Expected": expected, "Got": quoted(got), "Look at": where}
        super().__init__("\n".join(_entry(name, text) for name, text in lines.items() if text))


def require(ok: object, did: str, expected: str, got: str, where: str = "") -> None:
    """Raise Wrong unless `ok`."""
    if not ok:
        raise Wrong(did, expected, got, where)


def quoted(text: str) -> str:
    """`text`, shortened when it is long."""
    text = text.strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters)"


def _entry(name: str, text: str) -> str:
    """A name and its text, which may have several lines."""
    first, *rest = text.splitlines()
    return "\n".join([f"{name:<9} {first}", *(f"{'':<9} {line}" for line in rest)])
