"""The layer `course` is enough for exercises 01 to 09, and for the verbs that learners use there.

The environment is made from ours: a link to each file of the packages that the layer has.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from kit.course import catalogue
from kit.setup.installer import link
from kit.setup.layers import packages
from kit.setup.lock import locked
from kit.setup.wheelhouse import BUILDER, PLATFORMS, requirements, this_platform
from kit.workspace import ROOT
from tests.support.learner import UNSET

pytestmark = pytest.mark.slow

# What a learner types in the first half of the course, and how each ends.
TYPED = {
    **dict.fromkeys(("--help", "list", "status", "agenda", "hint 02", "solution 02 --yes"), 0),
    **dict.fromkeys(("catch-up 07", "reset 07", "pack --help", "setup --help"), 0),
    **dict.fromkeys(("check 02", "explore 06 --solution"), 1),  # neither keeps the rule
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the layer `course` only."""
    venv = tmp_path_factory.mktemp("course") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python3*/site-packages")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    markers = PLATFORMS[this_platform()].markers("{}.{}".format(*sys.version_info))
    for entry in requirements(locked(packages(["course"]), lock), markers):
        name = entry.partition("==")[0]
        if name == BUILDER and not list(distributions(name=name)):
            continue  # only set-up needs it, where it has something to build
        for file in distribution(canonicalize_name(name)).files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    link(venv, ROOT)
    return venv / "bin" / "python"


Workshop = Callable[[str], tuple[int, str]]


@pytest.fixture(scope="module")
def workshop(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Runs a command in a copy of the course; its exit code, and what it says."""
    course = tmp_path_factory.mktemp("course")
    for name in ("exercises", "solutions", "tests/graders"):
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    env = {name: value for name, value in os.environ.items() if name not in UNSET}
    env |= {"WORKSHOP_COURSE": str(course), "WORKSHOP_STATE": str(course / ".workshop")}

    def run(words: str) -> tuple[int, str]:
        done = subprocess.run(
            [python, "-E", "-m", "kit", *words.split()],
            cwd=course,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=250,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def test_the_verbs_of_the_first_half_need_no_other_layer(python: Path, workshop: Workshop) -> None:
    for missing in ("nbclient", "sqlalchemy", "pandas", "mkdocs"):
        looked: list[str | Path] = [python, "-c", f"import {missing}"]
        assert subprocess.run(looked, stderr=subprocess.DEVNULL, check=False).returncode
    for words, code in TYPED.items():
        found, said = workshop(words)
        assert found == code and "Traceback" not in said, f"{words}: {said}"


@pytest.mark.thorough
def test_the_graders_of_01_to_09_need_no_other_layer(workshop: Workshop) -> None:
    early = [each for each in catalogue.load() if each.layer == "course"]
    assert [each.number for each in early] == list(range(1, 10))
    numbers = " ".join(f"{each.number:02}" for each in early)
    code, said = workshop(f"check {numbers} --in solutions --jobs 2")
    assert code == 0, said
