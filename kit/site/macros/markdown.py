"""Pieces of a page, as Material for MkDocs reads them."""

import re
import textwrap
from collections.abc import Sequence

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


class Problem(Exception):
    """A page asks for something that is not there: what, in words."""


def folded(kind: str, title: str, body: str) -> str:
    """A block that opens at a click."""
    quoted = title.replace('"', "&quot;")
    return f'??? {kind} "{quoted}"\n\n{textwrap.indent(body, "    ")}'


def outside_fences(lines: Sequence[str]) -> list[bool]:
    """For each line, whether it is prose: neither in a code block nor one of its fences."""
    told, fence = [], ""
    for line in lines:
        found = _FENCE.match(line)
        if fence:
            told.append(False)
            # A fence ends with one at least as long, of the same kind, and nothing after it.
            if found and found[1].startswith(fence) and line.strip() == found[1]:
                fence = ""
        else:
            fence = found[1] if found else ""
            told.append(not fence)
    return told


def headings_below(text: str, level: int) -> str:
    """`text` with its headings moved, so that the highest is one below `level`."""
    lines = text.splitlines()
    prose = outside_fences(lines)
    levels = [
        len(found[1]) if free and (found := re.match(r"(#+) ", line)) else 0
        for line, free in zip(lines, prose, strict=True)
    ]
    shift = level + 1 - min(filter(None, levels), default=level + 1)
    moved = [
        "#" * (was + shift) + line[was:] if was else line
        for line, was in zip(lines, levels, strict=True)
    ]
    return "\n".join(moved)
