"""A learner in a small course, who types commands."""

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
# Not a learner's, and it would be everywhere.
UNSET = {
    *("REDIS_URL", "DATABASE_URL", "NOTEBOOK_PATH", "ARTIFACTS_DIR", "RUNNER_API_KEY"),
    "WORKSHOP_CHECK_REDIS",
}


class Learner:
    """A copy of the small course in a folder of its own, and what is typed there."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "course"
        shutil.copytree(MINI_COURSE, self.home, ignore=shutil.ignore_patterns("__pycache__"))
        self.state = self.home / ".workshop"
        self.mark = Mark()
        inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
        self.env = inherited | {
            "WORKSHOP_COURSE": str(self.home),
            "WORKSHOP_STATE": str(self.state),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
            **self.mark.env,
        }

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        """Type a command, and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-m", "kit", *words],
            cwd=self.home,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def types(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Type a command, and wait for its end."""
        with self.start(*words, **env) as process:
            out, err = process.communicate(timeout=200)
        assert "Traceback (most recent call last)" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def told(self, *words: str) -> Any:
        """What a command says as JSON."""
        return json.loads(self.types(*words).stdout)

    def states(self) -> dict[str, str]:
        """How each exercise stands, as `list` tells."""
        return {each["exercise"]: each["state"] for each in self.told("list", "--json")}

    def file(self, slug: str) -> Path:
        """The file to edit."""
        return self.home / "work" / slug / "nb_runner" / "main.py"

    def solves(self, slug: str) -> Path:
        """Write what our solution has. Returns the file written."""
        ours = self.home / "solutions" / slug / "nb_runner" / "main.py"
        self.file(slug).write_bytes(ours.read_bytes())
        return self.file(slug)
