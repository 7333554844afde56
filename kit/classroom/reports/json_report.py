"""report.json: all there is to know, for programs, and for `--resume`."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from kit.checking import verdict_json
from kit.checking.verdict_json import VerdictJson
from kit.classroom.reports.files import text, unwritable, write_whole
from kit.classroom.results import ClassResult, LearnerResult
from kit.grading.verdict import Verdict
from kit.storage import set_aside
from kit.workspace import ROOT, shown

NAME = "report.json"
VERSION = 2  # one more whenever a reader of the file has to know
PLACES = 4  # decimals of points
SCHEMA = ROOT / "docs" / "reference" / "report.schema.json"  # made from the types below


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
class Earlier:
    """What an earlier grading found out, by learner."""

    learners: dict[str, LearnerResult] = field(default_factory=dict)

    def verdict(self, name: str, slug: str, key: str) -> Verdict | None:
        """The verdict on just that work, if there is one. What could not be graded has none."""
        learner = self.learners.get(name)
        if learner is None or learner.keys.get(slug) != key:
            return None
        found = [verdict for verdict in learner.verdicts if verdict.exercise == slug]
        return found[0] if found and not found[0].problem else None


def write(result: ClassResult, out: Path) -> None:
    """Write it, atomically. Raises KitError."""
    write_whole(out / NAME, text(json.dumps(as_json(result), indent=1) + "\n"))


def as_json(result: ClassResult) -> ReportJson:
    """The report. Only `when` and `seconds` tell of time."""
    return {
        "version": VERSION,
        "when": result.when,
        "seconds": round(result.seconds, 2),
        "complete": result.finished,
        "passed": result.passed and result.finished,
        "protection": {"full": result.confined, "sentence": result.protection},
        "possible": round(float(result.possible), PLACES),
        "exercises": [
            {
                "exercise": exercise.slug,
                "title": exercise.title,
                "tasks": [
                    {
                        "number": task.number,
                        "title": task.title,
                        "points": round(float(result.points_for(task.number)), PLACES),
                    }
                    for task in exercise.tasks
                ],
            }
            for exercise in result.exercises
        ],
        "learners": [_learner(result, learner) for learner in result.learners],
    }


def names(out: Path) -> list[str]:
    """Whom the report in `out` is about; nobody when there is none, or none that can be read."""
    try:
        return list(_read(out / NAME).learners)
    except (OSError, ValueError):
        return []


def earlier(out: Path) -> Earlier:
    """What the report in `out` says, if there is one. A damaged one is set aside, and said so."""
    file = out / NAME
    try:
        return _read(file)
    except FileNotFoundError:
        return Earlier()
    except OSError as error:
        raise unwritable(file, error) from None
    except ValueError:
        try:
            aside = set_aside(file)
        except OSError as error:
            raise unwritable(file, error) from None
        print(
            f"workshop: {shown(file)} was damaged, so it is set aside as {aside.name}, and "
            "everything is graded anew",
            file=sys.stderr,
        )
        return Earlier()


def schema() -> dict[str, Any]:
    """The JSON schema of the file."""
    from pydantic import TypeAdapter

    told = TypeAdapter(ReportJson).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **told}


def _learner(result: ClassResult, learner: LearnerResult) -> LearnerJson:
    told: LearnerJson = {
        "learner": learner.name,
        "passed": learner.passed,
        "points": round(float(result.earned(learner)), PLACES),
        "exercises": [_graded(learner, verdict) for verdict in learner.verdicts],
    }
    if learner.unfinished:
        told["unfinished"] = True
    if learner.problem:
        told["problem"] = learner.problem
    if learner.notes:
        told["notes"] = learner.notes
    return told


def _graded(learner: LearnerResult, verdict: Verdict) -> GradedJson:
    told = cast(GradedJson, verdict_json.as_json(verdict))
    if key := learner.keys.get(verdict.exercise):
        told["key"] = key
    return told


def _read(file: Path) -> Earlier:
    """Raises ValueError for a file that is damaged."""
    from pydantic import TypeAdapter

    try:
        told = json.loads(file.read_bytes())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if isinstance(told, dict) and told.get("version") not in (VERSION, None):
        return Earlier()  # written by another version of the kit, which graded by other rules
    report = TypeAdapter(ReportJson).validate_python(told)
    return Earlier({each["learner"]: _learner_of(each) for each in report["learners"]})


def _learner_of(told: LearnerJson) -> LearnerResult:
    graded = told["exercises"]
    return LearnerResult(
        name=told["learner"],
        verdicts=[verdict_json.from_json(each) for each in graded],
        problem=told.get("problem", ""),
        notes=told.get("notes", []),
        keys={each["exercise"]: each["key"] for each in graded if "key" in each},
        unfinished=True,
    )
