"""A verdict as JSON, for programs to read: `check --json`, and each exercise of report.json."""

import functools
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NotRequired, cast

from typing_extensions import TypedDict

from kit.verdicts.failure import FailureCode
from kit.verdicts.verdict import ProblemCode, State, TaskVerdict, Verdict

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class FailureJson(TypedDict):
    """Why a task failed. Empty fields are left out: see kit.verdicts.failure.Failure."""

    code: FailureCode
    did: NotRequired[str]
    expected: NotRequired[str]
    got: NotRequired[str]
    where: NotRequired[str]
    cut: NotRequired[bool]
    schedule: NotRequired[str]
    test: NotRequired[str]
    limit: NotRequired[float]
    detail: NotRequired[str]


class ProblemJson(TypedDict):
    """Why an exercise could not be checked."""

    code: ProblemCode
    message: str
    detail: NotRequired[str]


class TaskJson(TypedDict):
    """One task."""

    number: str
    title: str
    passed: bool
    state: State
    failure: NotRequired[FailureJson]
    notes: NotRequired[list[str]]


class VerdictJson(TypedDict):
    """One exercise."""

    exercise: str
    passed: bool
    seconds: float
    problem: NotRequired[ProblemJson]
    tasks: list[TaskJson]


def as_json(verdict: Verdict) -> VerdictJson:
    """The verdict, ready for `json.dumps`."""
    data: VerdictJson = {
        "exercise": verdict.exercise,
        "passed": verdict.passed,
        "seconds": round(verdict.seconds, 2),
        "tasks": [_task(task) for task in verdict.tasks],
    }
    if verdict.problem is not None:
        data["problem"] = cast(ProblemJson, _without_empty(asdict(verdict.problem)))
    return data


def from_json(data: VerdictJson) -> Verdict:
    """The verdict that `as_json` was given. Raises ValueError."""
    return verdict_adapter().validate_python(data)


@functools.cache
def verdict_adapter() -> "TypeAdapter[Verdict]":
    """Reads verdicts from data or JSON. Raises ValueError for anything else."""
    from pydantic import TypeAdapter

    return TypeAdapter(Verdict)


def _task(task: TaskVerdict) -> TaskJson:
    data: TaskJson = {
        "number": task.number,
        "title": task.title,
        "passed": task.passed,
        "state": task.state,
    }
    if task.failure is not None:
        data["failure"] = cast(FailureJson, _without_empty(asdict(task.failure)))
    if task.notes:
        data["notes"] = list(task.notes)
    return data


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
