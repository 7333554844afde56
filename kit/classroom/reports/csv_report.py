"""grades.csv: a row for each learner, a column for each task, points."""

import csv
import io
from pathlib import Path

from kit.classroom.reports.files import encoded, write_whole
from kit.classroom.results import ClassResult, LearnerResult, format_points

NAME = "grades.csv"
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet treats a cell that begins with one of these as a formula, and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  full-width ones, too


def write(result: ClassResult, out: Path) -> None:
    """Write grades.csv. Raises KitError."""
    write_whole(out / NAME, encoded(as_csv(result)))


def as_csv(result: ClassResult) -> str:
    """The table as CSV.

    Excel reads UTF-8 only after a byte order mark. A table in ASCII has none, because other
    programs would take it for a part of the first heading.
    """
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["learner", *(task.number for _, task in result.tasks), "total"])
    for learner in result.learners:
        rows.writerow(_row(result, learner))
    table = file.getvalue()
    return table if table.isascii() else BYTE_ORDER_MARK + table


def _row(result: ClassResult, learner: LearnerResult) -> list[str]:
    points = [
        format_points(result.points_for(task.number)) if task.passed else "0"
        for task in learner.tasks(result.exercises)
    ]
    return [without_formula(learner.name), *points, format_points(result.earned(learner))]


def without_formula(text: str) -> str:
    """`text` for a cell; with an apostrophe before it where it would be a formula."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(FORMULA_STARTS) else text
