"""A new exercise from a template: all of its files, one task, and nothing that was there before.

Its starter is the solution before it with one TODO, its solution the same with the TODO done. The
template is a folder of files, in which Jinja fills in numbers and titles.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kit.authoring.twins import read_tree
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError, disk_error
from kit.workspace import shown, workspace

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TITLE = re.compile(r"[^\"\\|\[\]{}<>`*_]+")  # it stands in TOML, Markdown and Python as it is
LONGEST_TITLE = 40
MAIN = "nb_runner/main.py"  # gets the TODO, and the answer to it


@dataclass(frozen=True)
class Plan:
    """The files of a new exercise: those made from the template, and those that are copied."""

    exercise: Exercise
    before: Exercise
    texts: dict[Path, str]
    copies: dict[Path, Path]  # from where, by where to

    def write(self) -> None:
        """Write all of it. Raises KitError, before the first file, when one is there already."""
        files = [*self.texts, *self.copies]
        if there := next((file for file in files if file.exists()), None):
            raise KitError(
                f"{shown(there)} is there already, and nothing is overwritten",
                f"git status {shown(there)}",
            )
        try:
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
            for file, text in self.texts.items():
                with file.open("x", encoding="utf-8") as new:
                    new.write(text)
            for file, source in self.copies.items():
                with file.open("xb") as new_copy:
                    new_copy.write(source.read_bytes())
        except OSError as error:
            what = f"{error.filename} cannot be written"
            raise disk_error(what, error, workspace().course) from None


def plan(number: str, slug: str, title: str, minutes: int) -> Plan:
    """What a new exercise of that number and name would be. Raises KitError."""
    course = catalogue.load()
    before = _before(number, slug, course)
    n = before.number + 1
    if not SLUG.fullmatch(slug) or slug in {each.slug[3:] for each in course}:
        why = "is taken" if SLUG.fullmatch(slug) else "is no slug: small letters, digits and dashes"
        raise KitError(f"{slug!r} {why}", _command(n, "a-name-of-its-own"))
    title = " ".join(title.split()) or slug.replace("-", " ").capitalize()
    if not TITLE.fullmatch(title) or not title.isprintable() or len(title) > LONGEST_TITLE:
        words = f"is no title: at most {LONGEST_TITLE} letters, digits and common punctuation"
        raise KitError(f"{title!r} {words}", f'{_command(n, slug)} --title "A title"')
    exercise = Exercise(f"{n:02}-{slug}", title, minutes, ("self-paced",), (), {})
    return Plan(exercise, before, _texts(exercise, before), _copies(exercise, before))


def _before(number: str, slug: str, course: Sequence[Exercise]) -> Exercise:
    """The exercise whose solution the new one starts from. Raises KitError."""
    free = _command(course[-1].number + 1, slug if SLUG.fullmatch(slug) else "a-name-of-its-own")
    if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= 99):
        raise KitError(f"{number!r} is no number of an exercise", free)
    n = int(number)
    if taken := next((each for each in course if each.number == n), None):
        raise KitError(f"there is an exercise {n:02} already: {taken.slug}", free)
    before = next((each for each in course if each.number == n - 1), None)
    if before is None:
        raise KitError(
            f"there is no exercise {n - 1:02}, whose solution {n:02} would start from", free
        )
    if not (before.solution / MAIN).is_file():
        raise KitError(
            f"{shown(before.solution / MAIN)} is not there, and gets the task of the template",
            f"git status {shown(before.solution)}",
        )
    return before


def _texts(exercise: Exercise, before: Exercise) -> dict[Path, str]:
    """What is made from the template, by file."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("template")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    n = exercise.number
    facts = {
        "n": n,
        "number": f"{n:02}",
        "folder": exercise.slug,
        "title": exercise.title,
        "minutes": exercise.minutes,
        "path": f"/exercise-{n}",
        "function": f"exercise_{n}",
        "layer": before.layer,
        "task": f"GET /exercise-{n} answers",
    }

    def rendered(name: str) -> str:
        return templates.get_template(f"{name}.j2").render(facts)

    main = (before.solution / MAIN).read_text(encoding="utf-8").rstrip() + "\n"
    project = tomllib.loads((before.solution / "pyproject.toml").read_text(encoding="utf-8"))
    # Poetry refuses a project that names a README and has none. A starter has one in any case.
    readme = project["project"].get("readme")
    return {
        exercise.starter / "README.md": rendered("README.md"),
        exercise.starter / "exercise.toml": rendered("exercise.toml"),
        exercise.starter / MAIN: main + rendered("todo.py"),
        exercise.solution / MAIN: main + rendered("answer.py"),
        **({exercise.solution / readme: rendered("solution.md")} if readme else {}),
        exercise.grader: rendered("grader.py"),
        exercise.mistakes: rendered("mistakes.toml"),
        exercise.chapter: rendered("chapter.md"),
    }


def _copies(exercise: Exercise, before: Exercise) -> dict[Path, Path]:
    """The rest of the project, as it is in the solution before."""
    return {
        tree / name: before.solution / name
        for tree in (exercise.starter, exercise.solution)
        for name in read_tree(before.solution)
        if name != MAIN
    }


def _command(n: int, slug: str) -> str:
    return f"./workshop dev new {n:02} {slug}"
