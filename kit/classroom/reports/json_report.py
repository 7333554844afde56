"""report.json: the whole result, for programs and for `--resume`."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from kit.checking import verdict_json
from kit.checking.verdict_json import VerdictJson
from kit.classroom.reports.files import cannot_be_written, encoded, write_whole
from kit.classroom.results import ClassResult, LearnerResult
from kit.storage import set_aside
from kit.verdicts.verdict import Verdict
from kit.workspace import ROOT, shown

NAME = "report.json"
VERSION = 2  # add 1 when a program that reads the file has to change
DECIMALS = 4  # of points
SCHEMA = ROOT / "docs" / "reference" / "report.schema.json"  # generated from the types below


class TaskPointsJson(TypedDict):
    """What a task is worth."""

    number: str
    title: str
    points: float


class ExercisePointsJson(TypedDict):
    """The tasks of an exercise."""

    exercise: str
    title: str
    tasks: list[TaskPointsJson]


class ProtectionJson(TypedDict):
    """How far submissions were confined, and the sentence that the reports show."""

    full: bool
    sentence: str


class GradedJson(VerdictJson):
    """A verdict, and a hash of what it depends on: `--resume` takes it over while that is so."""

    key: NotRequired[str]


class LearnerJson(TypedDict):
    """One learner. `problem`: why the work cannot be read."""

    learner: str
    passed: bool
    unfinished: NotRequired[bool]
    problem: NotRequired[str]
    notes: NotRequired[list[str]]
    points: float
    exercises: list[GradedJson]


class ReportJson(TypedDict):
    """The whole file. Only `when` and the seconds differ when the same work is graded again."""

    version: int
    when: str
    seconds: float
    complete: bool
    passed: bool
    protection: ProtectionJson
    possible: float
    exercises: list[ExercisePointsJson]
    learners: list[LearnerJson]


@dataclass
class PreviousResults:
    """The results of a previous grading, by the learner's name."""

    learners: dict[str, LearnerResult] = field(default_factory=dict)

    def verdict(self, name: str, slug: str, key: str) -> Verdict | None:
        """The verdict on an exercise, if `key` is still the same.

        An exercise that could not be graded has none, so that it is graded again.
        """
        learner = self.learners.get(name)
        if learner is None or learner.cache_keys.get(slug) != key:
            return None
        found = [verdict for verdict in learner.verdicts if verdict.exercise == slug]
        return found[0] if found and not found[0].problem else None


def write(result: ClassResult, out: Path) -> None:
    """Write report.json atomically. Raises KitError."""
    write_whole(out / NAME, encoded(json.dumps(as_json(result), indent=1) + "\n"))


def as_json(result: ClassResult) -> ReportJson:
    """The report as data."""
    return {
        "version": VERSION,
        "when": result.started_at,
        "seconds": round(result.seconds, 2),
        "complete": result.finished,
        "passed": result.passed and result.finished,
        "protection": {"full": result.confined, "sentence": result.protection},
        "possible": round(float(result.max_points), DECIMALS),
        "exercises": [
            {
                "exercise": exercise.slug,
                "title": exercise.title,
                "tasks": [
                    {
                        "number": task.number,
                        "title": task.title,
                        "points": round(float(result.points_for(task.number)), DECIMALS),
                    }
                    for task in exercise.tasks
                ],
            }
            for exercise in result.exercises
        ],
        "learners": [_learner_json(result, learner) for learner in result.learners],
    }


def previous_learners(out: Path) -> list[str]:
    """The names of the learners in the report in `out`; none without a report that can be read."""
    try:
        return list(_read(out / NAME).learners)
    except (OSError, ValueError):
        return []


def read_previous(out: Path) -> PreviousResults:
    """The results in the report in `out`, if there is one.

    A damaged report is set aside, with a message on stderr. Raises KitError when the report cannot
    be read or set aside.
    """
    file = out / NAME
    try:
        return _read(file)
    except FileNotFoundError:
        return PreviousResults()
    except OSError as error:
        raise cannot_be_written(file, error) from None
    except ValueError:
        try:
            aside = set_aside(file)
        except OSError as error:
            raise cannot_be_written(file, error) from None
        print(
            f"workshop: {shown(file)} was damaged, so it is set aside as {aside.name}, and "
            "everything is graded anew",
            file=sys.stderr,
        )
        return PreviousResults()


def schema() -> dict[str, Any]:
    """The JSON schema of report.json."""
    from pydantic import TypeAdapter

    data = TypeAdapter(ReportJson).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **data}


def _learner_json(result: ClassResult, learner: LearnerResult) -> LearnerJson:
    data: LearnerJson = {
        "learner": learner.name,
        "passed": learner.passed(result.exercises),
        "points": round(float(result.earned(learner)), DECIMALS),
        "exercises": [_verdict_json(learner, verdict) for verdict in learner.verdicts],
    }
    if learner.unfinished:
        data["unfinished"] = True
    if learner.problem:
        data["problem"] = learner.problem
    if learner.notes:
        data["notes"] = learner.notes
    return data


def _verdict_json(learner: LearnerResult, verdict: Verdict) -> GradedJson:
    data = cast(GradedJson, verdict_json.as_json(verdict))
    if key := learner.cache_keys.get(verdict.exercise):
        data["key"] = key
    return data


def _read(file: Path) -> PreviousResults:
    """The results in a report. Raises OSError, and ValueError for a damaged file."""
    from pydantic import TypeAdapter

    try:
        data = json.loads(file.read_bytes())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(data, dict) and data.get("version") not in (VERSION, None):
        return PreviousResults()  # another version of the kit may have graded by other rules
    report = TypeAdapter(ReportJson).validate_python(data)
    return PreviousResults(
        {each["learner"]: _learner_from_json(each) for each in report["learners"]}
    )


def _learner_from_json(data: LearnerJson) -> LearnerResult:
    graded = data["exercises"]
    return LearnerResult(
        name=data["learner"],
        verdicts=[verdict_json.from_json(each) for each in graded],
        problem=data.get("problem", ""),
        notes=data.get("notes", []),
        cache_keys={each["exercise"]: each["key"] for each in graded if "key" in each},
        unfinished=True,
    )
