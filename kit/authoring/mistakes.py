"""Known wrong answers: small edits of a solution, each of which its grader must refuse.

tests/mistakes/NN-slug.toml lists them, with the task that must fail and words of its message.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.workspace import shown


@dataclass(frozen=True)
class Mistake:
    """One wrong answer: the edits that make it, the first task that fails, words of its message."""

    slug: str
    name: str
    edits: tuple[tuple[str, str, str], ...]  # file, old, new
    task: str
    words: tuple[str, ...]
    or_task: str | None  # where a busy machine may trip it already, in whatever words

    @property
    def id(self) -> str:
        return f"{self.slug}:{self.name}"

    def edited(self, project: Path) -> dict[str, str]:
        """The files that it changes, as they become. Raises ValueError for an edit that misfits."""
        texts: dict[str, str] = {}
        for name, old, new in self.edits:
            file = project / name
            if not file.is_file():
                raise ValueError(f"{self.id}: there is no {name} in the solution")
            text = texts[name] if name in texts else file.read_text(encoding="utf-8")
            if (there := text.count(old)) != 1:
                raise ValueError(f"{self.id}: {name} holds {old!r} {there} times, not once")
            texts[name] = text.replace(old, new)
        return texts

    def make(self, project: Path) -> None:
        """Edit a copy of the solution. Raises ValueError when the solution has moved on."""
        for name, text in self.edited(project).items():
            (project / name).write_text(text, encoding="utf-8")


def mistakes_of(exercise: Exercise) -> list[Mistake]:
    """All that are known, none when there is no list. Raises KitError for one that is damaged."""
    if not exercise.mistakes.is_file():
        return []
    return read(exercise.mistakes)


def read(file: Path) -> list[Mistake]:
    """The mistakes of one list. Raises KitError."""
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
        return [_mistake(file.stem, entry) for entry in told["mistakes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{shown(file)} cannot be used: {error!r}", f"git diff {shown(file)}"
        ) from None


def _mistake(slug: str, entry: dict[str, Any]) -> Mistake:
    edits = [entry, *entry.get("also", ())]
    return Mistake(
        slug,
        entry["name"],
        tuple((edit.get("file", entry["file"]), edit["old"], edit["new"]) for edit in edits),
        entry["task"],
        tuple(entry["words"]),
        entry.get("or_task"),
    )
