"""The graders' own tests: known wrong answers, each of which must fail where it is wrong.

tests/mistakes/NN-slug.toml lists them as small edits of the solution.
"""

import tomllib
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kit.course.catalogue import Exercise, load
from kit.grading.verdict import Verdict
from kit.workspace import ROOT
from tests.support.grading_pool import TIMEOUT, copy_project, grading_pool, submit

pytestmark = pytest.mark.slow(longest=True)

FOLDER = ROOT / "tests" / "mistakes"
FEWEST = 3  # for each exercise
FEWEST_IN_ALL = 45  # for a course of thirteen
COURSE = 13


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

    def make(self, project: Path) -> None:
        """Edit a copy of the solution. Fails loudly when the solution has moved on."""
        for name, old, new in self.edits:
            file = project / name
            assert file.is_file(), f"{self.id}: there is no {name} in the solution"
            text = file.read_text(encoding="utf-8")
            there = text.count(old)
            assert there == 1, f"{self.id}: {name} holds {old!r} {there} times, not once"
            file.write_text(text.replace(old, new), encoding="utf-8")


@cache
def mistakes() -> list[Mistake]:
    """All of them, in the order of the course."""
    return [mistake for file in sorted(FOLDER.glob("*.toml")) for mistake in read(file)]


def read(file: Path) -> list[Mistake]:
    told = tomllib.loads(file.read_text(encoding="utf-8"))
    return [_mistake(file.stem, entry) for entry in told["mistakes"]]


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


def exercises() -> dict[str, Exercise]:
    return {exercise.slug: exercise for exercise in load()}


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[dict[str, Future[Verdict]]]":
    """What came of each mistake whose test is to run. They are graded ahead, in that order."""
    course = exercises()
    chosen = {item.name.partition("[")[2].removesuffix("]") for item in request.session.items}
    found: dict[str, Future[Verdict]] = {}
    with grading_pool() as pool:
        for mistake in mistakes():
            if mistake.id not in chosen:
                continue
            exercise = course[mistake.slug]
            project = copy_project(exercise.solution, tmp_path_factory.mktemp("mistake"))
            try:
                mistake.make(project)
            except AssertionError as error:
                found[mistake.id] = Future()
                found[mistake.id].set_exception(error)
            else:
                found[mistake.id] = submit(pool, exercise, project, stop_early=True)
        yield found


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: mistake.id)
def test_a_mistake_fails_where_it_is_wrong(
    mistake: Mistake, verdicts: "dict[str, Future[Verdict]]"
) -> None:
    verdict = verdicts[mistake.id].result(TIMEOUT)
    assert not verdict.problem, f"the grader could not cope:\n{verdict.problem}"
    failure = verdict.first_failure
    assert failure, "nobody noticed"
    if failure.number == mistake.or_task:
        return
    assert failure.number == mistake.task, failure.message
    missing = [word for word in mistake.words if word not in failure.message]
    assert not missing, f"{missing} are not in the message:\n{failure.message}"


@pytest.mark.parametrize("slug", exercises())
def test_an_exercise_has_enough_mistakes_for_tasks_of_its_own(slug: str) -> None:
    own = [mistake for mistake in mistakes() if mistake.slug == slug]
    assert len(own) >= FEWEST
    tasks = {task.number for task in exercises()[slug].tasks}
    assert {mistake.task for mistake in own} <= tasks
    assert {mistake.or_task for mistake in own} <= tasks | {None}


def test_every_mistake_is_of_an_exercise_and_has_a_name_of_its_own() -> None:
    assert {mistake.slug for mistake in mistakes()} <= set(exercises())
    names = [mistake.id for mistake in mistakes()]
    assert len(names) == len(set(names))
    assert [mistake.id for mistake in mistakes() if not mistake.words] == []


def test_there_are_enough_in_all() -> None:
    assert len(exercises()) == COURSE
    assert len(mistakes()) >= FEWEST_IN_ALL


def test_an_edit_that_no_longer_fits_the_solution_is_said(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("a = 1\na = 1\n")
    for name, old in (("main.py", "a = 1"), ("main.py", "b"), ("other.py", "a")):
        mistake = Mistake("01-one", "typo", ((name, old, "c"),), "1.1", ("words",), None)
        with pytest.raises(AssertionError, match="01-one:typo: "):
            mistake.make(tmp_path)
