"""`dev check`, as far as files tell: the course lacks nothing, and each gap is noticed."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.authoring.missing import missing, requirements
from kit.course.catalogue import Exercise, find, load
from kit.workspace import ROOT, workspace

TESTS = ("tests/graders", "tests/mistakes", "tests/right_answers")
PARTS = ("exercises", "solutions", "docs/exercises", *TESTS)
SLUG = "08-cancel"
TOML = f"exercises/{SLUG}/exercise.toml"
STARTER = f"exercises/{SLUG}/README.md"
CHAPTER = f"docs/exercises/{SLUG}.md"
MISTAKES = f"tests/mistakes/{SLUG}.toml"
GRADER = "tests/graders/test_08_cancel.py"
HELLO = "02-hello-fastapi"
HELLO_TOML = f"exercises/{HELLO}/exercise.toml"
HELLO_GRADER = "tests/graders/test_02_hello_fastapi.py"
HELLO_MISTAKES = f"tests/mistakes/{HELLO}.toml"


@pytest.mark.parametrize("exercise", load(), ids=lambda exercise: exercise.slug)
def test_an_exercise_lacks_nothing(exercise: Exercise) -> None:
    items = list(missing(exercise))
    assert not items, "\n".join(["", *map(str, items)])


@pytest.fixture
def course(tmp_path: Path, set_workspace: Callable[..., None]) -> Path:
    """A copy of the course, to break."""
    for part in PARTS:
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", tmp_path)
    set_workspace(course=tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (TOML, 'title = "Cancel"', 'title = "Stop"', "does not begin with its title"),
        (TOML, 'title = "Cancel"', 'title = "Stop"', "its table of exercises lacks this row"),
        (TOML, "minutes = 10", "minutes = 15", "the minutes of half-day should be"),
        (TOML, '"There are two cases: no run', '"", "There are two cases: no run', "3 hints"),
        (STARTER, "### 8.2 ", "### 8.4 ", "does not have the tasks of exercise.toml"),
        (CHAPTER, r"\[\[hints 08\]\]", "", "has no line"),
        (CHAPTER, r"\[\[solution 08\]\]", "[[solution 07]]", "has no line"),
        (GRADER, r'@pytest\.mark\.task\("8\.3"\)', "", "has no test for task 8.3"),
        (MISTAKES, 'task = "8.3"', 'task = "8.4"', "has no known wrong answer for task 8.3"),
        (MISTAKES, 'task = "8.3"', 'task = "8.4"', "there is no task 8.4"),
        (
            MISTAKES,
            """^old = (?=['"][^'"])""",
            "old = 'not there' # ",
            "holds 'not there' 0 times, not once",
        ),
        (MISTAKES, "^words = ", "words = [] # ", "names no words of the message"),
        (MISTAKES, r'name = ".*"', 'name = "same"', "has two answers called 'same'"),
    ],
)
def test_a_gap_is_said_with_the_file_to_edit(
    course: Path, name: str, old: str, new: str, words: str
) -> None:
    file = course / name
    was = file.read_text(encoding="utf-8")
    text = re.sub(old, lambda _: new, was, flags=re.MULTILINE)
    assert text != was
    file.write_text(text, encoding="utf-8")
    items = [item for item in missing(find("8")) if words in str(item)]
    assert items, [str(item) for item in missing(find("8"))]
    elsewhere = course / ("README.md" if "row" in words or "minutes" in words else name)
    assert items[0].file == (course / STARTER if "its title" in words else elsewhere)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (HELLO_TOML, r"\[\[tasks.requirements\]\]\n(.+\n)+", "", "gives task 2.1 no requirement"),
        (HELLO_TOML, '^test = ".*"', "test = []", "names no test of the grader"),
        (HELLO_TOML, '^test = ".*"', 'test = "test_it"', "the grader has no test_it"),
        (HELLO_TOML, r"^mistakes = (.|\n)*?\]$", "mistakes = []", "names no known wrong answer"),
        (HELLO_TOML, '"POST instead of GET"', '"PUT"', "there is no known wrong answer 'PUT'"),
        (HELLO_GRADER, r'task\("2.3"\)', 'task("2.2")', "does has no mark for task 2.3"),
        (HELLO_GRADER, r'@pytest.mark.task\("2.3"\)', "", "does has no mark for task 2.3"),
        (HELLO_GRADER, r"(@.*2.3.*\ndef) test_.*?\(", r"\1 test_new(", "names test_new"),
        (HELLO_MISTAKES, 'task = "2.1"', 'task = "2.2"', "'POST instead of GET' fails another"),
        (HELLO_TOML, r'^(mistakes = \["no docstring"\])', r'\1\nhint = "Look."', "has a hint, and"),
    ],
)
def test_a_gap_in_the_requirements_is_said(
    course: Path, name: str, old: str, new: str, words: str
) -> None:
    assert list(requirements(find("2"))) == []
    file = course / name
    was = file.read_text(encoding="utf-8")
    text = re.sub(old, new, was, flags=re.MULTILINE)
    assert text != was
    file.write_text(text, encoding="utf-8")
    items = [str(item) for item in requirements(find("2"))]
    assert any(words in item for item in items), items


def test_a_wrong_answer_can_be_of_two_tasks(course: Path) -> None:
    file = course / HELLO_MISTAKES
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('task = "2.1"', 'task = ["2.1", "2.3"]'), encoding="utf-8")
    assert list(missing(find("2"))) == []


def test_a_right_answer_that_no_longer_fits_is_said(course: Path) -> None:
    main = course / "solutions" / HELLO / "nb_runner" / "main.py"
    main.write_text("app = 1\n")
    file = course / "tests" / "right_answers" / f"{HELLO}.toml"
    assert file in {item.file for item in missing(find("2"))}


@pytest.mark.parametrize("name", [CHAPTER, MISTAKES, GRADER, f"solutions/{SLUG}/pyproject.toml"])
def test_a_file_that_is_gone_is_said(course: Path, name: str) -> None:
    assert list(missing(find("8"))) == []
    (course / name).unlink()
    assert course / name in {item.file for item in missing(find("8"))}


def test_one_starter_that_breaks_a_rule_is_said_with_the_difference(course: Path) -> None:
    file = workspace().exercises / SLUG / "nb_runner" / "main.py"
    file.write_text(file.read_text(encoding="utf-8") + "\n\nmore = 1\n", encoding="utf-8")
    told = {item.words: item.detail for item in missing(find("8"))}
    assert "+more = 1" in told["is not the solution before it plus TODO blocks (rule 1)"]
