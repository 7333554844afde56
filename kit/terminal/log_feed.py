"""Several logs on one terminal, each line with its process's name in front."""

import os
import shutil
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kit.errors import printable
from kit.terminal.screen import COLOUR
from kit.workspace import shown

# Bytes of a log that are printed at one time. A terminal takes longer for more than a program
# takes to write it, and Ctrl-C would have to wait for the terminal.
MOST = 64 << 10
LARGEST = 20 << 20  # bytes of a log; what is in a larger one is moved to a file beside it
STYLES = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")
WIDTH = len("worker-1")


class Feed:
    """Prints what log files gain. Lines are printed whole, never wrapped."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._logs: dict[str, tuple[Path, int]] = {}

    def follow(self, name: str, log: Path) -> None:
        """Print `log` from its beginning on; nothing new when it is followed already."""
        self._logs.setdefault(name, (log, 0))

    def say(self, text: str, style: str = "bold") -> None:
        """Print a line of the workshop itself."""
        self._print("workshop", style, text, style)

    def show(self, *, rest: bool = False) -> None:
        """Print the new whole lines; with `rest` also one that has no end yet.

        Of very many lines, the last are printed, and a line says how much was left out.
        """
        for place, (name, (log, offset)) in enumerate(self._logs.items()):
            style = STYLES[place % len(STYLES)]
            with log.open("rb") as file:
                first = max(offset, file.seek(0, os.SEEK_END) - MOST)
                file.seek(first)
                new = file.read(MOST)
            if first > offset:
                self._print(name, style, f"… {first - offset:,} bytes left out: {shown(log)}")
            end = len(new) if rest else new.rfind(b"\n") + 1
            for line in new[:end].decode(errors="replace").splitlines():
                self._print(name, style, line)
            self._logs[name] = (log, first + end)
            if first + end > LARGEST:
                self._begin_anew(name, log)

    def _begin_anew(self, name: str, log: Path) -> None:
        """Move what is in a log to a file beside it. Its program appends, and need not know."""
        older = log.with_name(f"{log.name}.1")
        shutil.copyfile(log, older)
        os.truncate(log, 0)
        self._logs[name] = (log, 0)
        self.say(f"the log of {name} became large: what was in it is in {shown(older)}")

    def _print(self, name: str, style: str, line: str, line_style: str = "") -> None:
        line = printable(COLOUR.sub("", line))  # colours are for the names here
        text = Text.assemble((f"{name:<{WIDTH}} | ", style), (line, line_style))
        self.console.print(text, soft_wrap=True, highlight=False)
