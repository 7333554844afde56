"""The learner's copies of the starters: made when first wanted, and never thrown away."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kit.course import progress
from kit.course.catalogue import Exercise
from kit.course.progress import Progress
from kit.errors import disk_error
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
            _place(exercise, done)
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
        return _place(exercise, done)


def put_aside(exercises: Sequence[Exercise]) -> list[Path]:
    """Keep the work on these exercises aside, and forget what was passed. Returns where it is."""
    with progress.changing() as done:
        kept = []
        for exercise in exercises:
            done.exercises.pop(exercise.slug, None)
            if exercise.work.exists():
                kept.append(place_to_keep(exercise))
                exercise.work.rename(kept[-1])
        done.last = ""
        return kept


def missing_files(exercise: Exercise) -> list[str]:
    """The files of the starter that the learner's copy has not, and that our solution has."""
    needed = [name for name in _hashes(exercise.starter) if (exercise.solution / name).exists()]
    return [name for name in needed if not (exercise.work / name).exists()]


def is_untouched(exercise: Exercise, folder: Path) -> bool:
    """Whether a copy of the exercise holds nothing but files of the starter, as they are."""
    return _hashes(folder).items() <= _hashes(exercise.starter).items()


def changed_files(exercise: Exercise, done: Progress) -> list[str]:
    """The files of the starter that have changed since the learner has opened the exercise.

    Without those that are in the learner's copy as they are now.
    """
    then, now = done.of(exercise).starter, _hashes(exercise.starter)
    changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return sorted(name for name in changed if now.get(name) != _hash(exercise.work / name))


def _hashes(starter: Path) -> dict[str, str]:
    """A hash of each file of a starter that is copied, by its name below the folder."""
    found = {}
    for folder, folders, files in os.walk(starter):
        ignored = NOT_COPIED(folder, [*folders, *files])
        folders[:] = sorted(set(folders) - ignored)
        for file in (Path(folder) / name for name in sorted(set(files) - ignored)):
            found[str(file.relative_to(starter))] = _hash(file)
    return found


def _hash(file: Path) -> str:
    """A hash of a file; empty when there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""


def _place(exercise: Exercise, done: Progress) -> Path | None:
    """Put a copy of the starter in its place: whole, or not at all. Returns the kept old work."""
    try:
        workspace().work.mkdir(parents=True, exist_ok=True)
        kept = place_to_keep(exercise) if exercise.work.exists() else None
        with replacing_folder(exercise.work, kept) as new:
            shutil.copytree(exercise.starter, new, ignore=NOT_COPIED)
    except OSError as error:  # shutil.Error is one, and has no number
        what = f"{shown(exercise.starter)} cannot be copied to {shown(exercise.work)}"
        raise disk_error(what, error, workspace().work) from None
    done.of(exercise).starter = _hashes(exercise.starter)
    return kept


def place_to_keep(exercise: Exercise) -> Path:
    """A path in work/.kept for the work on an exercise that something else replaces."""
    folder = workspace().work / ".kept"
    folder.mkdir(exist_ok=True)
    return unused(folder / f"{exercise.slug}-{timestamp()}")
