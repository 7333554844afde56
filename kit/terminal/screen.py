"""What the terminal can show: colours and marks, or plain words where it cannot."""

import contextlib
import os
import re
import sys
from typing import TextIO

WIDTH = 80  # columns, where the terminal does not tell
CODES = {"good": "32", "bad": "31", "strong": "1", "faint": "2", "ahead": "36"}
COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")  # what `paint` puts around a text
TIE = "\u00a0"  # printed as a space, and no line is broken at it
# What is not broken: a word, or a command in backticks, each with the spaces before it.
PIECE = re.compile(rf"\s*(?:`[^`]{{1,60}}`|[^\s`]|`|{TIE})+")


def colourful(stream: TextIO | None = None) -> bool:
    """Whether the stream shows colours, and the user has not turned them off."""
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style of CODES, where colours are shown."""
    return f"\033[{CODES[style]}m{text}\033[0m" if colourful(stream) else text


def mark(good: bool) -> str:
    """✓ or ✗, or words for a terminal that has no such letters."""
    tick, cross = ("✓", "✗") if can_print("✓✗") else ("ok", "no")
    return paint(tick, "good") if good else paint(cross, "bad")


def coloured_diff(text: str) -> str:
    """A unified diff in its colours, where colours are shown."""
    styles = {"+++": "strong", "---": "strong", "@@ ": "ahead", "+": "good", "-": "bad"}
    lines = []
    for line in text.splitlines():
        style = next((style for start, style in styles.items() if line.startswith(start)), "")
        lines.append(paint(line, style) if style else line)
    return "\n".join(lines)


def fitted(line: str, indent: int, margin: int = 0) -> str:
    """`line`, broken between words, so that the terminal does not break within a word.

    The lines after the first are indented by `indent` columns. `margin`: columns that the caller
    will put before all of them.
    """
    width = columns(sys.stdout) - margin
    if not sys.stdout.isatty() or _length(line) <= width:
        return line.replace(TIE, " ")
    # textwrap would count the codes for colours as columns.
    first, *rest = PIECE.findall(line) or [line]
    lines = [first]
    for piece in rest:
        if _length(lines[-1] + piece) < width:
            lines[-1] += piece
        else:
            lines.append(" " * indent + piece.lstrip())
    return "\n".join(lines).replace(TIE, " ")


def wrapped(text: str) -> str:
    """Each line of `text`, fitted; what follows a break is below the beginning of its line."""
    return "\n".join(fitted(line, len(line) - len(line.lstrip())) for line in text.splitlines())


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, with `…` at its end if something was left out."""
    if _length(text) <= width:
        return text
    pieces, left = [], max(0, width - 1)
    for piece in COLOUR.split(text):
        if not COLOUR.fullmatch(piece):
            piece = piece[:left]
            left -= len(piece)
        pieces.append(piece)
    return "".join(pieces) + "…"


def columns(stream: TextIO) -> int:
    """How wide the terminal behind `stream` is."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    return WIDTH


class StatusLine:
    """One line on standard error that overwrites itself; nothing at all without a terminal.

    It is cut to the width of the terminal: only one line can be overwritten.
    """

    def __init__(self) -> None:
        self._shows = colourful(sys.stderr)
        self._text = ""

    def show(self, text: str) -> None:
        """Show `text` in place of the text before it."""
        if self._shows and text != self._text:
            sys.stderr.write(f"\r\033[K{cut(text, columns(sys.stderr) - 1)}")
            sys.stderr.flush()
            self._text = text

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        self.show("")


def _length(text: str) -> int:
    """The columns that `text` takes, without the codes for colours."""
    return len(COLOUR.sub("", text))


def can_print(text: str) -> bool:
    """Whether standard output has these characters in its encoding."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
