"""The learner's copies of the starters: made when first wanted, and never thrown away."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from kit.course import progress
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.storage import replacing_folder, timestamp, unused
from kit.workspace import shown, workspace

# A learner asks for the hints, which are in exercise.toml, one by one. The rest are caches.
NOT_COPIED = shutil.ignore_patterns(
    "exercise.toml", "__pycache__", ".venv", ".*_cache", ".ipynb_checkpoints", "dist"
)


def open_exercise(exercise: Exercise) -> Path:
    """The learner's copy. If missing, it is made, and the exercise becomes the current one."""
    if not exercise.work.is_dir():
        with progress.changing() as done:
            done.last = exercise.slug
            done.of(exercise).skipped = False
            _place(exercise)
    return exercise.work


def skip_to(exercise: Exercise, course: Sequence[Exercise]) -> list[Exercise]:
    """Mark the exercises before one, if not passed, as skipped. Returns those it has marked."""
    skipped = []
    with progress.changing() as done:
        for earlier in course:
            record = done.of(earlier)
            if earlier.number < exercise.number and not (record.passed or record.skipped):
                record.skipped = True
                skipped.append(earlier)
    return skipped


def start_afresh(exercise: Exercise) -> Path | None:
    """Put a fresh starter in place. Returns where the old work is kept, if there was any."""
    with progress.changing() as done:
        done.last = exercise.slug
        done.exercises.pop(exercise.slug, None)
        return _place(exercise)


def _place(exercise: Exercise) -> Path | None:
    """Put a copy of the starter in its place: whole, or not at all. Returns the kept old work."""
    try:
        workspace().work.mkdir(parents=True, exist_ok=True)
        kept = _place_to_keep(exercise) if exercise.work.exists() else None
        with replacing_folder(exercise.work, kept) as new:
            shutil.copytree(exercise.starter, new, ignore=NOT_COPIED)
    except (OSError, shutil.Error) as error:
        raise KitError(
            f"{shown(exercise.starter)} cannot be copied to {shown(exercise.work)}: {error}",
            f"ls -ld {shown(workspace().work)}; df -h {shown(workspace().work)}",
        ) from None
    return kept


def _place_to_keep(exercise: Exercise) -> Path:
    folder = workspace().work / ".kept"
    folder.mkdir(exist_ok=True)
    return unused(folder / f"{exercise.slug}-{timestamp()}")
