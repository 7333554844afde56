"""What came of the trials, as the handbook keeps it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kit.site.macros.explored import RESULTS


@dataclass(frozen=True)
class Result:
    """What came of a trial in one way.

    `way` is kill, cut, pause, late, or order: then all schedules with at most so many `switches`
    were tried, with a lease that runs out at any point or not. `points` are the commands around
    which something happened, `tried` how often it did, or how many schedules there were.
    """

    trial: str
    way: str
    tried: int
    points: tuple[str, ...] = ()
    switches: int = 0
    time: bool = False
    outcomes: tuple[str, ...] = ()
    fault: str = ""
    drawing: str = ""

    def __str__(self) -> str:
        """For a test that fails."""
        return f"{self.trial}, {self.way}: {self.fault}\n\n{self.drawing}"


def write(results: Sequence[Result]) -> None:
    """Keep them for the handbook."""
    rows = [asdict(each) for each in results]
    for row in rows:
        del row["drawing"]
    RESULTS.write_text(f"{json.dumps(rows, indent=2)}\n", encoding="utf-8")


def kept() -> list[Result]:
    """What the handbook has."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    return [
        Result(**row | {"points": tuple(row["points"]), "outcomes": tuple(row["outcomes"])})
        for row in rows
    ]
