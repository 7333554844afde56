"""What the terminal can show: colours and marks, or plain words where it cannot."""

import os
import shutil
import sys
import textwrap
from typing import TextIO

CODES = {"good": "32", "bad": "31", "strong": "1", "faint": "2", "ahead": "36"}


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
    tick, cross = ("✓", "✗") if _can_print("✓✗") else ("ok", "no")
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
    width = shutil.get_terminal_size().columns - margin
    if not sys.stdout.isatty() or len(line) <= width:
        return line
    return textwrap.fill(
        line,
        width - 1,
        subsequent_indent=" " * indent,
        replace_whitespace=False,
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )


class StatusLine:
    """One line on standard error that overwrites itself; nothing at all without a terminal."""

    def __init__(self) -> None:
        self._shows = colourful(sys.stderr)
        self._text = ""

    def show(self, text: str) -> None:
        """Show `text` in place of the text before it."""
        if self._shows and text != self._text:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()
            self._text = text

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        self.show("")


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
