"""grades.csv: a row for each learner, a column for each task, points."""

import csv
import io
from pathlib import Path

from kit.classroom.reports.files import text, write_whole
from kit.classroom.results import ClassResult, LearnerResult, shown_points

NAME = "grades.csv"
BOM = "\ufeff"
# A spreadsheet takes what begins like this for a formula, and would run it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  their wide twins too


def write(result: ClassResult, out: Path) -> None:
    """Write it. Raises KitError."""
    write_whole(out / NAME, text(as_csv(result)))


def as_csv(result: ClassResult) -> str:
    """The table. Excel wants a mark before what is not ASCII; others do without where it is."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["learner", *(task.number for _, task in result.tasks), "total"])
    for learner in result.learners:
        rows.writerow(_row(result, learner))
    table = file.getvalue()
    return table if table.isascii() else BOM + table


def _row(result: ClassResult, learner: LearnerResult) -> list[str]:
    points = [
        shown_points(result.points_for(task.number)) if task.passed else "0"
        for task in learner.tasks(result.exercises)
    ]
    return [harmless(learner.name), *points, shown_points(result.earned(learner))]


def harmless(text: str) -> str:
    """`text` for a cell, never a formula."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(FORMULA) else text
