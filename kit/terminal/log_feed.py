"""Several logs on one terminal, each line with its process's name in front."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

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
        """Print the new whole lines; with `rest` also one that has no end yet."""
        for place, (name, (log, offset)) in enumerate(self._logs.items()):
            with log.open("rb") as file:
                file.seek(offset)
                new = file.read()
            end = len(new) if rest else new.rfind(b"\n") + 1
            for line in new[:end].decode(errors="replace").splitlines():
                self._print(name, STYLES[place % len(STYLES)], line)
            self._logs[name] = (log, offset + end)

    def _print(self, name: str, style: str, line: str, line_style: str = "") -> None:
        text = Text.assemble((f"{name:<{WIDTH}} | ", style), (line, line_style))
        self.console.print(text, soft_wrap=True, highlight=False)
