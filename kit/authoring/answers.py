"""Known answers: small edits of a solution. This module has those that are right.

tests/right_answers/NN-slug.toml lists answers that differ from our solution and do what the
exercise demands, so its grader must accept each of them. `kit.authoring.mistakes` has the others.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.storage import text_of
from kit.workspace import shown

T = TypeVar("T")
Edit = tuple[str, str | None, str]  # file, old, new; without `old`, `new` is the whole file


@dataclass(frozen=True)
class Answer:
    """One answer: the edits of the solution that make it.

    `reason`: why it is good, for learners; an answer without one is not shown to them.
    """

    slug: str
    name: str
    edits: tuple[Edit, ...]
    reason: str = field(default="", kw_only=True)

    @property
    def id(self) -> str:
        return f"{self.slug}:{self.name}"

    def edited(self, project: Path) -> dict[str, str]:
        """The files that it changes, as they become. Raises ValueError for an edit that misfits."""
        texts: dict[str, str] = {}
        for name, old, new in self.edits:
            if old is None:
                texts[name] = new
                continue
            file = project / name
            if name not in texts and not file.is_file():
                raise ValueError(f"{self.id}: there is no {name} in the solution")
            text = texts[name] if name in texts else file.read_text(encoding="utf-8")
            if (there := text.count(old)) != 1:
                raise ValueError(f"{self.id}: {name} holds {old!r} {there} times, not once")
            texts[name] = text.replace(old, new)
        return texts

    def make(self, project: Path) -> None:
        """Edit a copy of the solution. Raises ValueError when the solution has moved on."""
        for name, text in self.edited(project).items():
            file = project / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def right_answers_of(exercise: Exercise) -> list[Answer]:
    """All that are known, none when there is no list. Raises KitError for one that is damaged."""
    if not exercise.right_answers.is_file():
        return []
    return read(exercise.right_answers)


def read(file: Path) -> list[Answer]:
    """The right answers of one list. Raises KitError."""
    return entries(file, "answers", _answer)


def entries(file: Path, key: str, made: Callable[[str, dict[str, Any]], T]) -> list[T]:
    """What `made` makes of each entry of a list, given the exercise's slug. Raises KitError."""
    try:
        told = tomllib.loads(text_of(file))
        return [made(file.stem, entry) for entry in told[key]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{shown(file)} cannot be used: {error!r}", f"git diff {shown(file)}"
        ) from None


def _answer(slug: str, entry: dict[str, Any]) -> Answer:
    return Answer(slug, entry["name"], edits(entry), reason=entry.get("reason", ""))


def edits(entry: dict[str, Any]) -> tuple[Edit, ...]:
    """The edits of an entry: `file`, `old` and `new`, those in `also`, and whole `files`."""
    small = [entry, *entry.get("also", ())] if "old" in entry else []
    return (
        *((name, None, text) for name, text in entry.get("files", {}).items()),
        *((edit.get("file", entry["file"]), edit["old"], edit["new"]) for edit in small),
    )
