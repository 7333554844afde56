"""The latest check of each exercise, kept in `.workshop/checks/` for the handbook to show."""

import contextlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from kit.checking.verdict_json import as_json, from_json
from kit.course.catalogue import Exercise
from kit.storage import write_whole
from kit.verdicts.verdict import Verdict
from kit.workspace import workspace


@dataclass(frozen=True)
class Latest:
    """The latest verdict and when it came, if there is one, and the check that is under way now.

    `decided`: the tasks of that check that are decided by now; None when no check is under way.
    """

    verdict: Verdict | None = None
    at: float = 0.0
    decided: tuple[tuple[str, bool], ...] | None = None


def folder() -> Path:
    """Where they are kept, a file for each exercise."""
    return workspace().state / "checks"


def read(exercise: Exercise) -> Latest:
    """What is kept of an exercise. A file that cannot be used counts as none."""
    kept = _read(exercise)
    try:
        verdict = from_json(kept["verdict"]) if "verdict" in kept else None
        decided = None
        # A process that was killed has not written down that its check is over.
        if "pid" in kept and psutil.pid_exists(kept["pid"]):
            decided = tuple((str(task), bool(passed)) for task, passed in kept["decided"])
        return Latest(verdict, float(kept.get("at", 0)), decided)
    except (ValueError, TypeError, KeyError):
        return Latest()


def note_progress(exercise: Exercise, decided: Iterable[tuple[str, bool]]) -> None:
    """This process checks the exercise: note the tasks that are decided by now."""
    _write(exercise, {**_read(exercise), "pid": os.getpid(), "decided": [*map(list, decided)]})


def note_end(exercise: Exercise, verdict: Verdict | None) -> None:
    """The check is over. Without a verdict, the one before it stays."""
    kept = _read(exercise)
    if verdict is not None and verdict.problem is None:
        kept = {"at": time.time(), "verdict": as_json(verdict)}
    _write(exercise, {name: kept[name] for name in ("at", "verdict") if name in kept})


def _file(exercise: Exercise) -> Path:
    return folder() / f"{exercise.slug}.json"


def _read(exercise: Exercise) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(_file(exercise).read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            return kept
    return {}


def _write(exercise: Exercise, kept: dict[str, Any]) -> None:
    # The check itself does not need it: a folder that cannot be written to must not end it.
    with contextlib.suppress(OSError):
        if kept != _read(exercise):
            folder().mkdir(parents=True, exist_ok=True)
            write_whole(_file(exercise), json.dumps(kept).encode())
