"""One exercise is the product. Programs derive its name; what cannot do so is checked here."""

import re
from pathlib import Path

import pytest

from kit.course import catalogue
from kit.workspace import ROOT

PRODUCT = catalogue.product()
# These have to spell out the folder, or tell readers of it.
NAMES_THE_FOLDER = (
    *(".dockerignore", ".env.example", "Dockerfile", "docker-compose.yml", "README.md"),
    *("docs/index.md", "docs/reference/api.md"),
)
PROGRAMS = ("kit", "tests", "tools", "benchmarks", "docs/hooks.py", "slides", "Makefile")
PROSE = ("README.md", "docs", "slides", "exercises", "templates")
# How many exercises there are, in words, is true until the next one.
COUNTED = re.compile(r"\b(twelve|thirteen|fourteen|fifteen) (\w+ )?(exercise|project|times)", re.I)


def files(*names: str, ending: str) -> list[Path]:
    """The files of that ending below these folders, or those files themselves."""
    found: list[Path] = []
    for name in names:
        path = ROOT / name
        found += [path] if path.is_file() else sorted(path.rglob(f"*{ending}"))
    return found


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_one_exercise_is_the_product() -> None:
    assert [each for each in catalogue.load() if each.product] == [PRODUCT]
    assert (PRODUCT.solution / "requirements.lock").is_file()


def test_programs_derive_the_name_of_the_product() -> None:
    by_hand = [
        str(file.relative_to(ROOT))
        for file in files(*PROGRAMS, ending=".py")
        if PRODUCT.slug in text(file)
    ]
    assert by_hand == []


@pytest.mark.parametrize("name", NAMES_THE_FOLDER)
def test_what_names_the_folder_of_the_product_names_the_right_one(name: str) -> None:
    named = set(re.findall(r"solutions/(\d\d-[a-z-]+\w)", text(ROOT / name)))
    assert named == {PRODUCT.slug}


def test_the_finished_runner_is_run_by_its_number() -> None:
    run = re.compile(r"\./workshop run (\d+) --solution --(?:notebook|workers)")
    prose = [*files(*PROSE, ending=".md"), *files("kit", ending=".py")]
    named = {str(file.relative_to(ROOT)): set(run.findall(text(file))) for file in prose}
    there = {name: numbers for name, numbers in named.items() if numbers}
    assert len(there) >= 4
    assert {name for name, numbers in there.items() if numbers != {str(PRODUCT.number)}} == set()


def test_a_solution_that_prose_names_is_there() -> None:
    slugs = {each.slug for each in catalogue.load()}
    for file in files(*PROSE, ending=".md"):
        assert set(re.findall(r"solutions/(\d\d-[a-z-]+\w)", text(file))) <= slugs, file


def test_nothing_says_how_many_exercises_there_are() -> None:
    prose = files(*PROSE, ending=".md") + files("kit", "tests", "benchmarks", ending=".py")
    told = {str(file.relative_to(ROOT)): COUNTED.findall(text(file)) for file in prose}
    assert {name for name, counts in told.items() if counts} == set()
