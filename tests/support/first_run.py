"""A newcomer, who has a fresh copy of the kit and types `./workshop demo` before anything else."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.setup import copy_working_tree
from tests.support.build_once import once
from tests.support.learner import UNSET
from tests.support.processes import Mark


@dataclass(frozen=True)
class Demo:
    """A demo that has ended: where, how, what it printed, and what it left running."""

    clone: Path
    code: int
    output: str
    left: list[str]


@pytest.fixture(scope="session")
def first_demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The one full run, from a copy with nothing set up, on a machine without data."""
    place = once(tmp_path_factory, "newcomer", _make)
    told = json.loads((place / "told.json").read_text(encoding="utf-8"))
    return Demo(place / "workshop", told["code"], told["output"], told["left"])


def environment(mark: Mark, **more: str) -> dict[str, str]:
    """Ours, without what a newcomer has not set. (`make` hands its own words on to other makes.)"""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in UNSET and not name.startswith("MAKE")
    }
    return {**inherited, **mark.env, **more}


def demonstrate(kit: Path, command: Sequence[str], **more: str) -> Demo:
    """Run a demo to its end, with `more` in its environment."""
    mark = Mark()
    done = subprocess.run(
        command,
        cwd=kit,
        env=environment(mark, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    return Demo(kit, done.returncode, done.stdout, mark.commands())


def _make(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    copy_working_tree(place / "workshop")
    demo = demonstrate(place / "workshop", ["./workshop", "demo"])
    told = {"code": demo.code, "output": demo.output, "left": demo.left}
    (place / "told.json").write_text(json.dumps(told), encoding="utf-8")
