"""Known wrong answers: small edits of a solution, each of which its grader must refuse.

tests/mistakes/NN-slug.toml lists them, with the task that must fail and words of its message.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.authoring.answers import Answer, edits, entries
from kit.course.catalogue import Exercise


@dataclass(frozen=True)
class Mistake(Answer):
    """One wrong answer: the edits that make it, the tasks that fail, words of the first message.

    The first of `tasks` is the first task that fails. All of them have to fail.
    """

    tasks: tuple[str, ...]
    words: tuple[str, ...]
    or_task: str | None  # where a busy machine may trip it already, in whatever words


def mistakes_of(exercise: Exercise) -> list[Mistake]:
    """All that are known, none when there is no list. Raises KitError for one that is damaged."""
    if not exercise.mistakes.is_file():
        return []
    return read(exercise.mistakes)


def read(file: Path) -> list[Mistake]:
    """The mistakes of one list. Raises KitError."""
    return entries(file, "mistakes", _mistake)


def _mistake(slug: str, entry: dict[str, Any]) -> Mistake:
    task = entry["task"]
    return Mistake(
        slug,
        entry["name"],
        edits(entry),
        (task,) if isinstance(task, str) else tuple(task),
        tuple(entry["words"]),
        entry.get("or_task"),
    )
