"""Where things are in the kit's folder. Standard library only: set-up uses it too."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The course, and the learner's copies of it. The variable lets tests bring a small one.
COURSE = Path(os.environ.get("WORKSHOP_COURSE") or ROOT).absolute()
EXERCISES = COURSE / "exercises"
SOLUTIONS = COURSE / "solutions"
GRADERS = COURSE / "tests" / "graders"
WORK = COURSE / "work"
NOTEBOOKS = ROOT / "notebooks"

# Logs, data and databases. The variable lets tests keep theirs elsewhere.
STATE = Path(os.environ.get("WORKSHOP_STATE") or ROOT / ".workshop").absolute()


def shown(path: Path) -> str:
    """`path` as the reader would type it: relative to where they stand when it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere, or standing in a folder that is gone
        return str(path)
