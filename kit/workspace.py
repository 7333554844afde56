"""Where things are: the kit, the course, the learner's work. Standard library only, for set-up."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent  # of the kit's repository
NOTEBOOKS = ROOT / "notebooks"


@dataclass(frozen=True)
class Workspace:
    """The folders of one course: `course` holds it, `state` what the kit writes for itself."""

    course: Path
    state: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """The kit's own course, unless WORKSHOP_COURSE and WORKSHOP_STATE name other folders."""
        return cls(
            course=Path(env.get("WORKSHOP_COURSE") or ROOT).absolute(),
            state=Path(env.get("WORKSHOP_STATE") or ROOT / ".workshop").absolute(),
        )

    @property
    def exercises(self) -> Path:
        """The starters, a folder NN-slug each."""
        return self.course / "exercises"

    @property
    def solutions(self) -> Path:
        return self.course / "solutions"

    @property
    def graders(self) -> Path:
        return self.course / "tests" / "graders"

    @property
    def mistakes(self) -> Path:
        """Known wrong answers, a file for each exercise."""
        return self.course / "tests" / "mistakes"

    @property
    def right_answers(self) -> Path:
        """Known right answers beside the solutions, a file for each exercise that has some."""
        return self.course / "tests" / "right_answers"

    @property
    def docs(self) -> Path:
        """The handbook's sources."""
        return self.course / "docs"

    @property
    def work(self) -> Path:
        """The learner's copies of the starters."""
        return self.course / "work"


@functools.cache
def workspace() -> Workspace:
    """The workspace that the environment names, read when it is first asked for."""
    return Workspace.from_env(os.environ)


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file. The name of a folder may have `?`, `#` or `%` in it."""
    return f"sqlite:///{quote(str(file.absolute()))}"


def shown(path: Path) -> str:
    """`path` as the user would type it: relative to the current folder when it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # not below, or the current folder is gone
        return str(path)
