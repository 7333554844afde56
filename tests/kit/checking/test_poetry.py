"""Poetry in an exercise never installs into the kit's own environment."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from kit.course import catalogue

pytestmark = pytest.mark.slow

LEARNERS_PYPROJECT = """
[project]
name = "nb-runner"
version = "0.1.0"
requires-python = ">=3.11"

[tool.poetry]
packages = [{ include = "nb_runner" }]
"""


def installed() -> list[str]:
    """The packages in the environment of this process."""
    return sorted(each.name for each in Path(site.getsitepackages()[0]).iterdir())


def test_what_a_learner_installs_goes_into_the_project(tmp_path: Path) -> None:
    """As in the README of exercise 01: the kit's Poetry, without VIRTUAL_ENV."""
    project = tmp_path / "01-poetry"
    shutil.copytree(catalogue.find("01").solution / "nb_runner", project / "nb_runner")
    shutil.copy(catalogue.find("01").solution / "poetry.toml", project)
    (project / "pyproject.toml").write_text(LEARNERS_PYPROJECT)
    before = installed()
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(
        [sys.executable, "-m", "poetry", "install", "--no-interaction"],
        cwd=project,
        env=env | {"POETRY_CACHE_DIR": str(tmp_path / "cache")},
        check=True,
        timeout=240,
    )
    assert installed() == before
    assert list(project.glob(".venv/lib/python*/site-packages/nb_runner*"))


def test_grading_installs_nothing_even_where_the_kit_is_activated() -> None:
    before = installed()
    exercise = catalogue.find("01")
    done = subprocess.run(
        [sys.executable, "-m", "kit", "check", "--path", str(exercise.solution)],
        env=os.environ | {"VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed() == before
    left = [file.name for file in exercise.solution.iterdir()]
    assert not {"dist", ".venv"} & set(left), "grading leaves nothing in the project"
