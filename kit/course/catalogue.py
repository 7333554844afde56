"""The course: its exercises, their tasks and hints, as exercises/*/exercise.toml tells them."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.storage import text_of
from kit.workspace import shown, workspace

TRACKS = ("evening", "half-day", "self-paced")


@dataclass(frozen=True)
class Requirement:
    """One thing that a task demands, in a sentence that learners read.

    `tests`: the functions of the grader that decide it. `mistakes`: known wrong answers that they
    catch. `hint`: for a learner whose last check failed on it.
    """

    text: str
    tests: tuple[str, ...]
    mistakes: tuple[str, ...]
    hint: str = ""


@dataclass(frozen=True)
class Task:
    """One thing to build. `hints` go from a nudge, over a pointer, to nearly the answer."""

    number: str  # "7.1"
    title: str
    hints: tuple[str, ...]
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One exercise. `declared` says why a starter's file is not what the reader expects.

    `product`: its solution is the finished runner. `reason`: why our solution is as it is.
    `layer`: the packages that it needs, as set-up calls them.
    """

    slug: str  # "07-one-at-a-time"
    title: str
    minutes: int
    tracks: tuple[str, ...]
    tasks: tuple[Task, ...]
    declared: dict[str, str] = field(hash=False)
    product: bool = False
    reason: str = ""
    layer: str = "course"

    @property
    def number(self) -> int:
        return int(self.slug[:2])

    @property
    def starter(self) -> Path:
        return workspace().exercises / self.slug

    @property
    def solution(self) -> Path:
        return workspace().solutions / self.slug

    @property
    def work(self) -> Path:
        """The place of the learner's copy, whether it exists or not."""
        return workspace().work / self.slug

    @property
    def grader(self) -> Path:
        return workspace().graders / f"test_{self.slug.replace('-', '_')}.py"

    @property
    def mistakes(self) -> Path:
        """The known wrong answers."""
        return workspace().mistakes / f"{self.slug}.toml"

    @property
    def right_answers(self) -> Path:
        """Known right answers that differ from the solution."""
        return workspace().right_answers / f"{self.slug}.toml"

    @property
    def chapter(self) -> Path:
        """Its page of the handbook."""
        return workspace().docs / "exercises" / f"{self.slug}.md"


def load() -> list[Exercise]:
    """All exercises, in order. Raises KitError for none, and for one that cannot be read."""
    files = sorted(workspace().exercises.glob("[0-9][0-9]-*/exercise.toml"))
    if not files:
        raise KitError(f"there are no exercises in {shown(workspace().exercises)}", "git status")
    return [_read(file) for file in files]


def find(name: str, course: Sequence[Exercise] | None = None) -> Exercise:
    """The exercise of that number ("7", "07"), slug or both. Raises KitError."""
    exercises = load() if course is None else course
    for exercise in exercises:
        slug = exercise.slug
        if name in (slug, slug[3:]) or (name.isdecimal() and int(name) == exercise.number):
            return exercise
    there = f"{exercises[0].number:02} to {exercises[-1].number:02}" if exercises else "none"
    raise KitError(f"there is no exercise {name!r}; there is {there}", "./workshop list")


def product(course: Sequence[Exercise] | None = None) -> Exercise:
    """The exercise whose solution is the finished runner: the one that says so, else the last."""
    exercises = load() if course is None else course
    return next((each for each in exercises if each.product), exercises[-1])


def _read(file: Path) -> Exercise:
    try:
        told = tomllib.loads(text_of(file))
        return Exercise(
            slug=file.parent.name,
            title=told["title"],
            minutes=told["minutes"],
            tracks=tuple(told["tracks"]),
            tasks=tuple(_task(task) for task in told["tasks"]),
            declared=told.get("declared", {}),
            product=told.get("product", False),
            reason=told.get("reason", ""),
            layer=told.get("layer", "course"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{shown(file)} cannot be used: {error!r}", f"git restore {shown(file)}"
        ) from None


def _task(told: dict[str, Any]) -> Task:
    requirements = tuple(_requirement(each) for each in told.get("requirements", ()))
    return Task(told["number"], told["title"], tuple(told["hints"]), requirements)


def _requirement(told: dict[str, Any]) -> Requirement:
    test = told["test"]
    tests = (test,) if isinstance(test, str) else tuple(test)
    return Requirement(told["text"], tests, tuple(told["mistakes"]), told.get("hint", ""))


def number_of(folder: Path) -> int | None:
    """The exercise's number, of a folder called NN-slug."""
    found = re.match(r"(\d\d)-", folder.name)
    return int(found[1]) if found else None
