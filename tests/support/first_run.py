"""The first command in a fresh copy of the kit, where nothing is set up: `./workshop demo`."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.setup import copy_working_tree
from tests.support.build_once import build_once
from tests.support.learner import UNSET
from tests.support.processes import Mark


@dataclass(frozen=True)
class DemoResult:
    """A demo that has ended. `left_running` has the command lines of its processes still alive."""

    clone: Path
    exit_code: int
    output: str
    left_running: list[str]


@pytest.fixture(scope="session")
def first_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """The one full run of the demo: it sets up the kit and loads the data first."""
    place = build_once(tmp_path_factory, "first-run", _run_demo)
    clone = place / "workshop"
    return DemoResult(clone, **json.loads((place / "result.json").read_text(encoding="utf-8")))


def clean_environment(mark: Mark, **more: str) -> dict[str, str]:
    """The environment of the tests, without settings of the kit and without variables of make."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in UNSET and not name.startswith("MAKE")
    }
    return {**inherited, **mark.env, **more}


def run_to_end(kit: Path, command: Sequence[str], **more: str) -> DemoResult:
    """Run a demo in a copy of the kit to its end, with `more` in its environment."""
    mark = Mark()
    done = subprocess.run(
        command,
        cwd=kit,
        env=clean_environment(mark, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    return DemoResult(kit, done.returncode, done.stdout, mark.commands())


def _run_demo(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    copy_working_tree(place / "workshop")
    demo = run_to_end(place / "workshop", ["./workshop", "demo"])
    result = {name: value for name, value in vars(demo).items() if name != "clone"}
    (place / "result.json").write_text(json.dumps(result), encoding="utf-8")
