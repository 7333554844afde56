"""What an exploration has found, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args

from explorer import Finding, Trace
from explorer.crashes import Place, Way

RULE = "at most one run at a time, and a start is possible again after a crash"
Operation = Literal["start", "run"]  # of the API, and of the worker


class Outcome(StrEnum):
    """What a start was answered after a crash, when much time had passed."""

    LET_IN = "let in"
    BLOCKED = "blocked"  # refused, because of a run that will end
    FOR_EVER = "refused for ever"
    TWO = "two at once"
    NO_ANSWER = "no answer"
    ERROR = "error"

    @property
    def kept(self) -> bool:
        """Whether the rule is kept."""
        return self in (Outcome.LET_IN, Outcome.BLOCKED)


@dataclass(frozen=True)
class Search:
    """All schedules of a few calls, or as many as it took to find one that breaks the rule."""

    name: str
    players: tuple[str, ...]
    preemptions: int
    schedules: int
    seconds: float
    complete: bool
    failing: Trace | None = None

    @property
    def kept(self) -> bool:
        """Whether no schedule breaks the rule."""
        return self.failing is None


@dataclass(frozen=True)
class CrashPoint:
    """One crash: of which operation, how, after how many commands, and what came of it.

    `command` is the last one that reached Redis; empty: there was none. `place` tells it from
    others. `story` has the steps of
    the operation, and those of the start that followed. `sentence` says what is wrong.
    """

    operation: Operation
    way: Way
    after: int
    command: str
    place: Place | None
    outcome: Outcome
    story: Trace
    sentence: str = ""


@dataclass
class Exploration:
    """One project. `left_out`: what was not tried, and why, in sentences."""

    exercise: str
    folder: str
    searches: list[Search] = field(default_factory=list)
    points: list[CrashPoint] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def schedules(self) -> int:
        """How many schedules were played."""
        return sum(search.schedules for search in self.searches)

    @property
    def kept(self) -> bool:
        """Whether nothing was found that breaks the rule."""
        return all(search.kept for search in self.searches) and not self.broken

    @property
    def complete(self) -> bool:
        """Whether each search that found nothing has tried everything."""
        return all(search.complete for search in self.searches if search.kept)

    @property
    def examples(self) -> list[CrashPoint]:
        """Of the crash points that break the rule: for each operation, one with each outcome.

        One from the middle, and one of the same way to crash: killed, if there is such a one.
        """
        groups: dict[tuple[Operation, Outcome], list[CrashPoint]] = {}
        for point in self.broken:
            alike = groups.setdefault((point.operation, point.outcome), [])
            if not alike or alike[0].way == point.way:
                alike.append(point)
        return [alike[len(alike) // 2] for alike in groups.values()]

    @property
    def broken(self) -> Sequence[CrashPoint]:
        """The crash points that break the rule."""
        return [point for point in self.points if not point.outcome.kept]

    def of(self, operation: Operation) -> Sequence[CrashPoint]:
        """The crash points of one operation."""
        return [point for point in self.points if point.operation == operation]


@dataclass(frozen=True)
class Row:
    """A line of the table of crash points: a command, and what came of each crash after it."""

    number: int
    command: str
    points: Mapping[Way, CrashPoint]


def table(points: Sequence[CrashPoint]) -> list[Row]:
    """Crash points by command, in the order of the commands."""
    rows: dict[Place | None, dict[Way, CrashPoint]] = {}
    for point in sorted(points, key=lambda point: point.after):
        rows.setdefault(point.place, {})[point.way] = point
    return [
        Row(number, next(iter(by_way.values())).command, by_way)
        for number, by_way in enumerate(rows.values())
    ]


def ways_of(points: Sequence[CrashPoint]) -> list[Way]:
    """The ways to crash that were tried, in the order of the table."""
    return [way for way in get_args(Way) if any(point.way == way for point in points)]


def finding_of(point: CrashPoint) -> Finding:
    """What the story of a crash shows: all of it, and the sentence."""
    return Finding("crash", point.sentence, tuple(range(len(point.story.steps))))
