"""`dev new`: what it refuses; and exercise after the last, in a copy of the kit, to the end."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.setup import copy_working_tree
from kit.authoring import new, overview
from kit.course import catalogue
from kit.errors import KitError
from tests.kit.authoring.test_missing import course

__all__ = ["course"]

pytestmark = pytest.mark.longest

NEXT = catalogue.load()[-1].number + 1
SLUG, TITLE, MINUTES = "second-look", "A second look", 20
FOLDER = f"{NEXT:02}-{SLUG}"
# What loops over all exercises, and needs neither a browser nor built pages.
SUITES = (
    *("tests/kit/authoring", "tests/kit/course", "tests/kit/site/test_macros.py"),
    *("tests/kit/commands/test_grade.py", "tests/repository", "tests/site/test_handbook.py"),
    *("tests/course/test_mistakes.py", "tests/course/test_requirements.py"),
)
CHOSEN = (
    *("keeps_the_rules", "lacks_nothing", "test_course", "test_agenda", "test_macros", SLUG),
    *("the_table_tells", "minutes_of_a_track", "every_path_a_readme", "deadlines", "points_that"),
    *("names_of_the_product", "a_chapter_has", "every_command_exists", "exercises_are_meant"),
    *("is_of_an_exercise", "enough_in_all", "each_requirement_has"),
)


@pytest.mark.parametrize(
    ("number", "slug", "title", "words"),
    [
        ("7", "x", "", "there is an exercise 07 already: 07-one-at-a-time"),
        (str(NEXT + 1), "x", "", f"there is no exercise {NEXT:02}, whose solution"),
        ("0", "x", "", "'0' is no number of an exercise"),
        ("-1", "x", "", "'-1' is no number of an exercise"),
        ("one", "x", "", "'one' is no number of an exercise"),
        ("²", "x", "", "'²' is no number of an exercise"),
        (str(NEXT), "Not a slug", "", "'Not a slug' is no slug"),
        (str(NEXT), "../x", "", "'../x' is no slug"),
        (str(NEXT), "x-", "", "'x-' is no slug"),
        (str(NEXT), "cancel", "", "'cancel' is taken"),
        (str(NEXT), "x", 'Say "no"', "is no title"),
        (str(NEXT), "x", "A" * 41, "is no title"),
    ],
)
def test_a_bad_number_or_name_is_refused_with_the_next_command(
    number: str, slug: str, title: str, words: str
) -> None:
    with pytest.raises(KitError) as raised:
        new.plan(number, slug, title, MINUTES)
    assert words in raised.value.message
    assert raised.value.fix.startswith(f"./workshop dev new {NEXT:02} ")


def test_nothing_is_overwritten_and_then_nothing_is_written(course: Path) -> None:
    chapter = course / "docs" / "exercises" / f"{FOLDER}.md"
    chapter.write_text("mine")
    plan = new.plan(str(NEXT), SLUG, TITLE, MINUTES)
    with pytest.raises(KitError, match="is there already, and nothing is overwritten"):
        plan.write()
    assert chapter.read_text() == "mine"
    assert not plan.exercise.starter.exists() and not plan.exercise.grader.exists()


def test_without_a_title_the_slug_is_the_title(course: Path) -> None:
    assert new.plan(str(NEXT), SLUG, "", MINUTES).exercise.title == "Second look"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_exercise_can_be_added_without_touching_anything_that_is_not_named(
    tmp_path: Path, set_workspace: Callable[..., None]
) -> None:
    kit = tmp_path / "kit"
    copy_working_tree(kit)
    before = contents(kit)
    added = dev(kit, "new", str(NEXT), SLUG, "--title", TITLE, "--minutes", str(MINUTES))
    assert added.returncode == 0, added.stderr
    after = contents(kit)
    assert changed(before, after) == set()
    told = {line.strip() for line in added.stdout.splitlines()}
    assert set(after) - set(before) <= told
    assert len(set(after) - set(before)) > 6

    # What is said to be missing is in the file that is to be edited by hand, and nowhere else.
    lacking = dev(kit, "check", str(NEXT), "--quick")
    assert lacking.returncode == 1
    set_workspace(course=kit)
    exercise = catalogue.find(str(NEXT))
    wanted = (overview.row(exercise), overview.minutes(catalogue.load(), "self-paced"))
    assert all(each in lacking.stdout for each in wanted)
    assert lacking.stdout.count("README.md: ") == 2 and " 2 missing\n" in lacking.stdout
    edit_readme(kit / "README.md", *wanted)
    assert changed(before, contents(kit)) == {"README.md"}

    # Starter, solution and the wrong answer are graded.
    complete = dev(kit, "check", str(NEXT))
    assert complete.returncode == 0, complete.stdout + complete.stderr
    assert complete.stdout == f"{NEXT:02} {TITLE}: nothing is missing\n"
    chosen = f"not fails_where_it_is_wrong and ({' or '.join(CHOSEN)})"
    run(kit, "pytest", "-q", "-p", "no:cacheprovider", *SUITES, "-k", chosen)
    python = [name for name in after if name not in before and name.endswith(".py")]
    run(kit, "ruff", "check", *python)
    run(kit, "ruff", "format", "--check", *python)
    assert changed(before, contents(kit)) == {"README.md"}

    # A grader that sees nothing is found out.
    blind = f'import pytest\n\n\n@pytest.mark.task("{NEXT}.1")\ndef test_it() -> None:\n    pass\n'
    exercise.grader.write_text(blind)
    wrong = dev(kit, "check", str(NEXT))
    assert wrong.returncode == 1
    assert f"task {NEXT}.1 passes on the starter" in wrong.stdout
    assert "the wrong answer passes" in wrong.stdout


def contents(kit: Path) -> dict[str, str]:
    """A hash of each file, but for what running programs leaves behind."""
    return {
        file.relative_to(kit).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in kit.rglob("*")
        if file.is_file()
        and not {"__pycache__", ".workshop", ".ruff_cache"} & set(file.relative_to(kit).parts)
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The files of before that are no longer as they were, or are gone."""
    return {name for name, content in before.items() if after.get(name) != content}


def edit_readme(readme: Path, row: str, minutes: str) -> None:
    """Do what `dev check` says: paste the row, and write the minutes anew."""
    text = readme.read_text(encoding="utf-8")
    last = overview.rows(text)[-1][2]
    lines = text.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if f"](exercises/{last}/README.md)" in line)
    text = "".join([*lines[: at + 1], f"{row}\n", *lines[at + 1 :]])
    total = sum(exercise.minutes for exercise in catalogue.load()) - MINUTES
    was = minutes.replace(str(total + MINUTES), str(total))
    assert was in text
    readme.write_text(text.replace(was, minutes), encoding="utf-8")


def dev(kit: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """`./workshop dev …` of that kit, run by our Python: nothing is set up there."""
    return called(kit, ["kit", "dev", *words])


def run(kit: Path, *words: str) -> None:
    """A module that has to succeed."""
    done = called(kit, words)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def called(kit: Path, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    ours = ("WORKSHOP_", "PYTEST_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=kit,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
