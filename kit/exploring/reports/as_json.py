"""An exploration for programs."""

from typing import Any, cast

from typing_extensions import TypedDict

from explorer import Finding, Trace, find
from kit.exploring.findings import RULE, CrashPoint, Exploration, Search, finding_of
from kit.workspace import ROOT

VERSION = 1  # add 1 when a program that reads it has to change
SCHEMA = ROOT / "docs" / "reference" / "explore.schema.json"  # generated from the types below


class StepJson(TypedDict):
    """One command: of whom, on which keys (null: on any), what came back.

    `changed`: whether it changed the data; null: not known. `at`: seconds since the schedule began.
    `event`: not a command, but something that happens to all, as time that passes. `telling`:
    whether it belongs to what the drawing shows.
    """

    actor: str
    command: str
    keys: list[str] | None
    reply: str
    changed: bool | None
    at: float
    event: bool
    telling: bool


class OutcomeJson(TypedDict):
    """How the operation of an actor ended. `state`: done, failed, waits, killed or paused."""

    actor: str
    state: str
    result: str


class ScheduleJson(TypedDict):
    """One schedule: who went on at each choice, and all its steps.

    `fault` is the rule that it breaks, `sentence` says why. `schedule` is empty for a crash.
    """

    fault: str | None
    sentence: str
    preemptions: int
    schedule: list[str]
    steps: list[StepJson]
    outcomes: list[OutcomeJson]


class SearchJson(TypedDict):
    """A search: `complete` says that all schedules with at most `preemptions` were tried."""

    name: str
    players: list[str]
    preemptions: int
    schedules: int
    seconds: float
    complete: bool
    kept: bool
    failing: ScheduleJson | None


class CrashPointJson(TypedDict):
    """A crash of a `start` (API) or a `run` (worker): kill, cut or pause, after so many commands.

    `outcome`: what a start was answered later. `kept`: whether the rule is kept. `story`: the steps
    of the operation that crashed, and those of the start that followed; null when `kept`.
    """

    operation: str
    way: str
    after: int
    command: str
    outcome: str
    kept: bool
    sentence: str
    story: ScheduleJson | None


class ExplorationJson(TypedDict):
    """The whole. `left_out`: what was not tried, and why."""

    version: int
    exercise: str
    folder: str
    rule: str
    kept: bool
    complete: bool
    seconds: float
    schedules: int
    searches: list[SearchJson]
    crash_points: list[CrashPointJson]
    left_out: list[str]


def as_json(found: Exploration) -> ExplorationJson:
    """All that was found, as data."""
    return {
        "version": VERSION,
        "exercise": found.exercise,
        "folder": found.folder,
        "rule": RULE,
        "kept": found.kept,
        "complete": found.complete,
        "seconds": round(found.seconds, 2),
        "schedules": found.schedules,
        "searches": [_search(search) for search in found.searches],
        "crash_points": [_crash_point(point) for point in found.points],
        "left_out": found.left_out,
    }


def schema() -> dict[str, Any]:
    """The JSON schema of `explore --json`."""
    from pydantic import TypeAdapter

    data = TypeAdapter(ExplorationJson).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **data}


def _search(search: Search) -> SearchJson:
    failing = search.failing
    return {
        "name": search.name,
        "players": list(search.players),
        "preemptions": search.preemptions,
        "schedules": search.schedules,
        "seconds": round(search.seconds, 2),
        "complete": search.complete,
        "kept": search.kept,
        "failing": None if failing is None else _schedule(failing, find(failing)),
    }


def _crash_point(point: CrashPoint) -> CrashPointJson:
    return {
        "operation": point.operation,
        "way": point.way,
        "after": point.after,
        "command": point.command,
        "outcome": point.outcome.value,
        "kept": point.outcome.kept,
        "sentence": point.sentence,
        "story": None if point.outcome.kept else _schedule(point.story, finding_of(point)),
    }


def _schedule(trace: Trace, finding: Finding) -> ScheduleJson:
    return cast(ScheduleJson, trace.as_data(finding.sentence, finding.steps))
