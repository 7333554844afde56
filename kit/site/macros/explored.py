"""What came of trying all crash points and schedules of the finished runner.

`make explored` writes the results, and tests/e2e/test_explored.py compares them with the runner.
"""

import json
from typing import Any

from kit.markdown import code, table
from kit.workspace import ROOT

RESULTS = ROOT / "docs" / "reference" / "explored.json"
WAYS = {
    "kill": "killed before each command, and after the last",
    "cut": "the answer to a command is lost",
    "pause": "paused there for longer than its lease",
    "late": "a command arrives after its sender has given up and asked again",
}
Row = dict[str, Any]


def crash_points() -> str:
    """`[[crash-points]]`: each operation, and what happened to its process at which commands."""
    rows = [
        (row["trial"], WAYS[row["way"]], ", ".join(row["points"]), str(row["tried"]), _ends(row))
        for row in _results()
        if row["way"] in WAYS
    ]
    return table(("Trial", "What happens to it", "Where", "Times", "What came of it"), rows)


def schedules() -> str:
    """`[[schedules]]`: operations at the same time, and in how many orders they were tried."""
    rows = [
        (row["trial"], _bound(row), str(row["tried"]), _ends(row))
        for row in _results()
        if row["way"] == "order"
    ]
    return table(("At the same time", "Orders", "Tried", "What came of it"), rows)


def _results() -> list[Row]:
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return rows


def _bound(row: Row) -> str:
    switches = {1: "at most 1 switch", 2: "at most 2 switches"}[row["switches"]]
    return f"{switches}, and a lease that runs out anywhere" if row["time"] else switches


def _ends(row: Row) -> str:
    """The outcomes, each as answers and statuses; a hole in words."""
    if row["fault"]:
        return f"**{row['fault']}**"
    told = [outcome.rpartition(": ") for outcome in row["outcomes"]]
    return "; ".join(f"{answers} → {code(ends)}" for answers, _, ends in told)
