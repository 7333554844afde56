"""report.json: all there is to know, for programs, and for `--resume`."""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.classroom.reports.files import text, unwritable, write_whole
from kit.classroom.results import ClassResult, LearnerResult
from kit.grading.verdict import TaskVerdict, Verdict
from kit.workspace import shown

NAME = "report.json"
VERSION = 1
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
PLACES = 4  # decimals of points


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


def as_json(result: ClassResult) -> dict[str, Any]:
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
    except (OSError, *DAMAGED):
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
    except DAMAGED:
        aside = file.with_name(f"{NAME}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        try:
            file.replace(aside)
        except OSError as error:
            raise unwritable(file, error) from None
        print(
            f"workshop: {shown(file)} was damaged, so it is set aside as {aside.name}, and "
            "everything is graded anew",
            file=sys.stderr,
        )
        return Earlier()


def _learner(result: ClassResult, learner: LearnerResult) -> dict[str, Any]:
    told = learner.as_json()
    exercises = told.pop("exercises")
    points = round(float(result.earned(learner)), PLACES)
    return told | {"points": points, "exercises": exercises}


def _read(file: Path) -> Earlier:
    told = json.loads(file.read_text(encoding="utf-8"))
    if told["version"] != VERSION:
        return Earlier()  # another kit's: it graded by other rules
    learners = [_learner_of(each) for each in told["learners"]]
    return Earlier({learner.name: learner for learner in learners})


def _learner_of(told: dict[str, Any]) -> LearnerResult:
    exercises = told["exercises"]
    return LearnerResult(
        name=_text(told["learner"]),
        verdicts=[_verdict_of(each) for each in exercises],
        problem=_text(told.get("problem", "")),
        notes=[_text(note) for note in told.get("notes", [])],
        keys={_text(each["exercise"]): _text(each["key"]) for each in exercises if "key" in each},
        unfinished=True,
    )


def _verdict_of(told: dict[str, Any]) -> Verdict:
    tasks = [
        TaskVerdict(
            _text(each["number"]),
            _text(each["title"]),
            each["passed"] is True,
            _text(each["message"]),
            [_text(note) for note in each.get("notes", [])],
        )
        for each in told["tasks"]
    ]
    seconds = float(told["seconds"])
    return Verdict(_text(told["exercise"]), seconds, tasks, _text(told.get("problem", "")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
