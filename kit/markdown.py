"""Pieces of Markdown, for the handbook and for reports. Standard library only."""

import re
from collections.abc import Iterable, Sequence


def fenced(text: str, language: str, **options: str) -> str:
    """A code block; its fence is longer than any inside."""
    longest = max((len(run) for run in re.findall(r"^\s*(`+)", text, re.MULTILINE)), default=0)
    fence = "`" * max(3, longest + 1)
    words = [language, *(f'{name}="{value}"' for name, value in options.items() if value)]
    body = text.rstrip("\n")
    return f"{fence}{' '.join(words)}\n{body}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def code(text: str) -> str:
    """`text` within a sentence."""
    return f"`{text}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
