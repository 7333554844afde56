"""What instructors say to a learner whose answer is wrong: docs/instructor/what-to-say.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from kit.course.catalogue import Exercise
from kit.workspace import workspace


@dataclass(frozen=True)
class Advice:
    """One way to be wrong, and what to say. `mistakes` are known wrong answers of that kind."""

    did: str
    looks: str
    say: str
    mistakes: tuple[str, ...]


def of(exercise: Exercise) -> list[Advice]:
    """All that there is to say about an exercise, in the order of the handbook."""
    return [
        Advice(each["did"], each["looks"], each["say"], tuple(each["mistakes"]))
        for each in _document().get("exercise", {}).get(f"{exercise.number:02}", [])
    ]


def on(exercise: Exercise, test: str) -> list[Advice]:
    """What there is to say when this test of the grader has failed."""
    mistakes = {
        name
        for task in exercise.tasks
        for requirement in task.requirements
        if test in requirement.tests
        for name in requirement.mistakes
    }
    return [each for each in of(exercise) if mistakes & set(each.mistakes)]


@cache
def _document() -> dict[str, Any]:
    file = workspace().docs / "instructor" / "what-to-say.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
