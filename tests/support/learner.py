"""A learner in a small course: a copy of it, and the commands that a learner types there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from kit.workspace import ROOT
from tests.support.processes import Mark

MINI_COURSE = ROOT / "tests" / "fixtures" / "mini_course"
# Settings of the environment in which the tests run. A learner's commands must not inherit them.
UNSET = {
    *("REDIS_URL", "DATABASE_URL", "NOTEBOOK_PATH", "ARTIFACTS_DIR", "RUNNER_API_KEY"),
}


class Learner:
    """A copy of the small course in a folder of its own, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "course"
        shutil.copytree(MINI_COURSE, self.home, ignore=shutil.ignore_patterns("__pycache__"))
        self.state = self.home / ".workshop"
        self.mark = Mark()
        inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
        self.env = inherited | {
            "WORKSHOP_COURSE": str(self.home),
            "WORKSHOP_STATE": str(self.state),
            "COLUMNS": "100",
            **self.mark.env,
        }

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        """Start a command, and do not wait for its end."""
        return subprocess.Popen(
            [sys.executable, "-E", "-m", "kit", *words],
            cwd=self.home,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end. A traceback in its output fails the test."""
        with self.start(*words, **env) as process:
            out, err = process.communicate(timeout=200)
        assert "Traceback (most recent call last)" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def run_json(self, *words: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*words).stdout)

    def states(self) -> dict[str, str]:
        """The state of each exercise, as `list` prints it."""
        return {each["exercise"]: each["state"] for each in self.run_json("list", "--json")}

    def file(self, slug: str) -> Path:
        """The file of an exercise that a learner edits."""
        return self.home / "work" / slug / "nb_runner" / "main.py"

    def solve(self, slug: str) -> Path:
        """Copy the solution into the learner's work. Returns the file written."""
        solution = self.home / "solutions" / slug / "nb_runner" / "main.py"
        self.file(slug).write_bytes(solution.read_bytes())
        return self.file(slug)
