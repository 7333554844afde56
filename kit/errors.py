"""The error that ends a command with a message. Standard library only: set-up uses it too."""

import re
import sys

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline


class KitError(Exception):
    """The call or the environment is wrong: exit code 2.

    `message` says what is wrong and where, `fix` the next thing to type,
    and `detail` is shown between them: the tail of a log, say. `code` is the kind of error, for
    code that handles it.
    """

    code = "environment"

    def __init__(self, message: str, fix: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.detail = detail

    def show(self) -> None:
        """Print all of it to standard error."""
        print(printable(f"workshop: {self.message}"), file=sys.stderr)
        if self.detail:
            print(indented(self.detail), file=sys.stderr)
        if self.fix:
            print(f"Try: {self.fix}", file=sys.stderr)


def indented(text: str) -> str:
    """`text` with a bar before each line, so that quoted output looks quoted."""
    return "\n".join(f"  | {printable(line)}" for line in text.rstrip().splitlines())


def printable(text: str) -> str:
    r"""`text` with its control characters as \x1b: a terminal would obey them."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
