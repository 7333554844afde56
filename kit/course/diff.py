"""The difference between two projects: what a learner writes, file by file."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from kit.storage import text_of

# What a learner writes. A poetry.lock is written by Poetry, and runs to thousands of lines.
PATTERNS = ("nb_runner/**/*", "pyproject.toml", "poetry.toml")


def difference(old: Path, new: Path, old_name: str, new_name: str) -> str:
    """The unified diff between two projects, under the names given."""
    lines: list[str] = []
    for name in _names(old, new):
        names = (f"{old_name}/{name}", f"{new_name}/{name}")
        lines += _diff(old / name, new / name, *names)
    return "".join(lines)


def _names(*folders: Path) -> list[Path]:
    found = {
        file.relative_to(folder)
        for folder in folders
        for pattern in PATTERNS
        for file in folder.glob(pattern)
        if file.is_file() and "__pycache__" not in file.parts
    }
    return sorted(found)


def _diff(old: Path, new: Path, old_name: str, new_name: str) -> Iterator[str]:
    try:
        before, after = _lines(old), _lines(new)
    except UnicodeDecodeError:
        yield f"{old_name} and {new_name}: not text, or not in UTF-8\n"
        return
    names = (old_name if old.exists() else "(new)", new_name if new.exists() else "(gone)")
    for line in difflib.unified_diff(before, after, *names):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(file: Path) -> list[str]:
    return text_of(file).splitlines(keepends=True) if file.is_file() else []
