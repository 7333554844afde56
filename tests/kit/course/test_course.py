"""Reading exercises: the small course in full, and what is said about one that cannot be read."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError
from tests.support.learner import MINI_COURSE


@pytest.fixture
def exercises(set_workspace: Callable[..., None]) -> list[Exercise]:
    set_workspace(course=MINI_COURSE)
    return catalogue.load()


def test_an_exercise_is_what_its_toml_tells(exercises: list[Exercise]) -> None:
    hello, parrot = exercises
    assert (hello.slug, hello.number, hello.title, hello.minutes) == ("01-hello", 1, "Hello", 5)
    assert parrot.tracks == ("half-day", "self-paced")
    assert [task.number for task in hello.tasks] == ["1.1", "1.2"]
    assert all(len(task.hints) == 3 for each in exercises for task in each.tasks)
    (requirement,) = hello.tasks[0].requirements
    assert requirement.text == "GET /ping answers the text pong."
    assert (requirement.tests, requirement.mistakes) == (("test_ping",), ("another text",))
    assert hello.tasks[1].requirements == ()
    assert hello.grader.name == "test_01_hello.py"


@pytest.mark.parametrize("name", ["2", "02", "parrot", "02-parrot"])
def test_an_exercise_has_many_names(exercises: list[Exercise], name: str) -> None:
    assert catalogue.find(name, exercises).slug == "02-parrot"


@pytest.mark.parametrize("name", ["", "0", "3", "2.1", "parro", "٢x"])
def test_other_names_are_refused_in_words(exercises: list[Exercise], name: str) -> None:
    with pytest.raises(KitError, match="there is 01 to 02"):
        catalogue.find(name, exercises)


def test_exercises_can_be_compared_and_kept_in_sets(exercises: list[Exercise]) -> None:
    assert len({*exercises, *map(dataclasses.replace, exercises)}) == 2


@pytest.mark.parametrize(
    "text", ["\udcff", "title = ", 'title = "T"', 'title = "T"\nminutes = 1\ntracks = 3']
)
def test_an_exercise_that_cannot_be_read_is_named(
    set_workspace: Callable[..., None], tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "exercises" / "01-x"
    folder.mkdir(parents=True)
    (folder / "exercise.toml").write_text(text, errors="surrogateescape")
    set_workspace(course=tmp_path)
    with pytest.raises(KitError, match=r"01-x/exercise.toml cannot be used") as raised:
        catalogue.load()
    assert raised.value.fix.startswith("git restore")


def test_a_course_without_exercises_is_a_mistake(
    set_workspace: Callable[..., None], tmp_path: Path
) -> None:
    set_workspace(course=tmp_path)
    with pytest.raises(KitError, match="there are no exercises"):
        catalogue.load()


def test_every_exercise_of_the_course_has_what_it_needs() -> None:
    for exercise in catalogue.load():
        assert exercise.solution.is_dir(), exercise.slug
        assert exercise.minutes > 0 and set(exercise.tracks) <= set(catalogue.TRACKS)
        for i, task in enumerate(exercise.tasks, start=1):
            assert task.number == f"{exercise.number}.{i}"
            assert task.title and len(task.hints) == 3 and all(map(str.strip, task.hints))


@pytest.mark.parametrize("exercise", catalogue.load(), ids=lambda exercise: exercise.slug)
def test_tasks_are_called_the_same_in_the_readme(exercise: Exercise) -> None:
    readme = (exercise.starter / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"^### (\d+\.\d+) (.*)$", readme, re.M)
    assert told == [(task.number, task.title) for task in exercise.tasks]
    assert readme.startswith(f"# {exercise.number:02} {exercise.title}\n")
