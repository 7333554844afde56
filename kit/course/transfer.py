"""The learner's work and progress as one file, to go on with at another machine."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kit.course import progress
from kit.course.catalogue import Exercise
from kit.course.work import NOT_COPIED, place_to_keep
from kit.errors import KitError, disk_error
from kit.storage import replacing_folder
from kit.workspace import shown, workspace

PROGRESS = "progress.json"  # its name in the archive; the work on SLUG is in work/SLUG
WORK = "work"


@dataclass(frozen=True)
class Imported:
    """What came of an import: the exercises in the archive, and where old work is kept."""

    exercises: list[Exercise]
    kept: list[Path]


def export_work(file: Path, course: Sequence[Exercise]) -> list[Exercise]:
    """Write a zip archive of all work and of the progress. Returns the exercises in it.

    Raises KitError when it cannot be written. Links, caches and environments are left out.
    """
    opened = [exercise for exercise in course if exercise.work.is_dir()]
    new = file.with_name(f".{file.name}.new")
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(PROGRESS, progress.to_json(progress.load()))
            for exercise in opened:
                top = f"{WORK}/{exercise.slug}"
                archive.mkdir(top)
                for path in _files(exercise.work):
                    archive.write(path, f"{top}/{path.relative_to(exercise.work)}")
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise disk_error(f"{shown(file)} cannot be written", error, file.parent) from None
    return opened


def import_work(file: Path, course: Sequence[Exercise]) -> Imported:
    """Put the work of an archive in place, and take over its progress.

    Work that is there already, and differs, is kept in work/.kept. Raises KitError for a file that
    cannot be read or that `export` has not written; then nothing has changed.
    """
    refused = KitError(f"{shown(file)} is not what ./workshop export writes", "./workshop export")
    try:
        workspace().work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=workspace().work) as place:
            with zipfile.ZipFile(file) as archive:
                told = progress.from_json(archive.read(PROGRESS).decode())
                for name in archive.namelist():
                    if name != PROGRESS and not _is_work(name):
                        raise refused
                archive.extractall(place)
            found = [each for each in course if (Path(place) / WORK / each.slug).is_dir()]
            kept = [_put(each, Path(place) / WORK / each.slug) for each in found]
            with progress.changing() as done:
                done.last = told.last
                done.exercises.update(told.exercises)
    except (zipfile.BadZipFile, *progress.DAMAGED):
        raise refused from None
    except OSError as error:
        raise disk_error(f"{shown(file)} cannot be brought in", error, workspace().work) from None
    return Imported(found, [path for path in kept if path is not None])


def _is_work(name: str) -> bool:
    """Whether it is the name of a file of a learner's work, and leads nowhere else."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts[:1] == (WORK,)


def _put(exercise: Exercise, new: Path) -> Path | None:
    """Move a copy of the work in its place. Returns where the work that was there is kept."""
    there = exercise.work.exists()
    kept = place_to_keep(exercise) if there and _content(exercise.work) != _content(new) else None
    with replacing_folder(exercise.work, kept) as place:
        shutil.move(new, place)
    return kept


def _content(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    """The files that an archive has."""
    for top, folders, files in os.walk(folder):
        left_out = NOT_COPIED(top, [*folders, *files])
        folders[:] = sorted(set(folders) - left_out)
        for path in (Path(top) / name for name in sorted(set(files) - left_out)):
            if path.is_file() and not path.is_symlink():
                yield path
