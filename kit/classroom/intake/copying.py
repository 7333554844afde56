"""Copy the exercises of a submission, within limits. Only the copy is graded."""

import hashlib
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit.classroom.intake.archives import archive_entries
from kit.classroom.intake.entries import (
    Entry,
    EntryFilter,
    Parts,
    Unreadable,
    folder_entries,
    is_ignored,
)
from kit.classroom.intake.skipped import SkippedEntries, printable_name
from kit.classroom.intake.sources import Source
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError, disk_error
from kit.workspace import shown

MAX_FILES = 5_000  # files, folders and links, in all exercises of a learner
MAX_TOTAL_BYTES = 100_000_000
MAX_FILE_BYTES = 20_000_000
MAX_DEPTH = 20  # parts of a path, from the exercise's folder on
MAX_NAME_BYTES = 200  # of one file's or folder's name
MAX_PATH_BYTES = 1_000  # of a path, from the exercise's folder on

NOTHING_HANDED_IN = (
    "Nothing was handed in: no exercise (a folder like {slug}) is in work/ or at the top, "
    "so there is nothing to grade."
)


@dataclass
class CopiedWork:
    """The copied exercises, by slug: their folders, and the digests of names and contents.

    `notes` say which entries were not copied, and which folders do not count as an exercise.
    `problem` says why the submission cannot be read; then nothing is copied. The same work has the
    same digest on every machine.
    """

    projects: dict[str, Path] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""


def copy_work(source: Source, exercises: Sequence[Exercise], target: Path) -> CopiedWork:
    """Copy the exercises in `source` to target/NN-slug, which must not exist yet.

    A submission that cannot be read raises nothing: see `CopiedWork.problem`. Raises KitError when
    `target` cannot be written.
    """
    slugs = [exercise.slug for exercise in exercises]
    for slug in slugs:
        if (target / slug).exists():
            raise KitError(f"{shown(target / slug)} is there already", f"ls {shown(target)}")
    skipped = SkippedEntries()
    writer = _CopyWriter(target, skipped)
    copied = CopiedWork()
    misplaced: list[str] = []
    try:
        folders = _folders(source)
        base = _exercises_parent(folders, slugs)
        misplaced = _misplaced(folders, base, exercises)
        for entry in _entries(source, _filter_for(base, slugs)):
            if entry.kind == "outside":
                skipped.add(entry.name, "outside")
            elif len(entry.parts) > len(base):
                writer.add(entry, entry.parts[len(base) :])
        copied.projects = {slug: target / slug for slug in slugs if slug in writer.projects}
        copied.digests = {slug: digest(folder) for slug, folder in copied.projects.items()}
    except Unreadable as problem:
        copied.problem = str(problem)
        for slug in writer.projects:
            shutil.rmtree(target / slug)
    copied.notes = [*misplaced, *skipped.sentences()]
    return copied


def digest(folder: Path) -> str:
    """A hash of all names and contents in a folder, as hexadecimal digits."""
    hashed = hashlib.sha256()
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in sorted(paths.items()):
        content = path.read_bytes() if path.is_file() else None
        size = "folder" if content is None else len(content)
        hashed.update(f"{len(name)} {name} {size}\n".encode() + (content or b""))
    return hashed.hexdigest()


def _entries(source: Source, is_wanted: EntryFilter) -> Iterator[Entry]:
    return (folder_entries if source.kind == "folder" else archive_entries)(source.path, is_wanted)


def _folders(source: Source) -> set[Parts]:
    """The folders down to the third level: an exercise can be repository-main/work/NN-slug."""

    def may_hold_exercises(parts: Parts) -> bool:
        if any(is_ignored(part) or len(part) > MAX_NAME_BYTES for part in parts[:3]):
            return False
        if source.kind == "archive":  # an archive need not list the folders that its files are in
            return True
        return len(parts) == 1 or (len(parts) <= 3 and ("work" in parts[:2] or _is_numbered(parts)))

    folders = set()
    for entry in _entries(source, may_hold_exercises):
        deepest = len(entry.parts) if entry.kind == "folder" else len(entry.parts) - 1
        folders |= {entry.parts[:depth] for depth in range(1, min(deepest, 3) + 1)}
    return folders


def _is_numbered(parts: Parts) -> bool:
    return catalogue.number_of(Path(parts[-1])) is not None


def _exercises_parent(folders: set[Parts], slugs: Sequence[str]) -> Parts:
    """The folder that holds the exercises: work/, the top, or the same in the only folder there.

    Raises Unreadable when there is no exercise.
    """
    candidates: list[Parts] = [("work",), ()]
    tops = [parts for parts in folders if len(parts) == 1 and not parts[0].startswith(".")]
    if len(tops) == 1:
        candidates += [(*tops[0], "work"), tops[0]]
    for base in candidates:
        if any((*base, slug) in folders for slug in slugs):
            return base
    for base in candidates:
        if any(_is_numbered(parts) for parts in folders if parts[:-1] == base):
            return base
    raise Unreadable(NOTHING_HANDED_IN.format(slug=slugs[0]))


def _names_in(folders: set[Parts], base: Parts) -> list[str]:
    return sorted(parts[-1] for parts in folders if parts[:-1] == base)


def _misplaced(folders: set[Parts], base: Parts, exercises: Iterable[Exercise]) -> list[str]:
    """Sentences about folders that look like an exercise and have another name or place."""
    notes = []
    for exercise in exercises:
        slug = exercise.slug
        if (*base, slug) in folders:
            continue
        for name in _names_in(folders, base):
            if catalogue.number_of(Path(name)) == exercise.number:
                notes.append(f"{printable_name(name)} is not called {slug}, so it is not graded.")
        if base and (*base[:-1], slug) in folders:
            notes.append(f"{slug} is not in {base[-1]}/, so it is not graded.")
    return notes


def _filter_for(base: Parts, slugs: Sequence[str]) -> EntryFilter:
    def is_wanted(parts: Parts) -> bool:
        if len(parts) <= len(base):
            return parts == base[: len(parts)]
        above, slug, rest = parts[: len(base)], parts[len(base)], parts[len(base) + 1 :]
        return above == base and slug in slugs and not any(is_ignored(part) for part in rest)

    return is_wanted


class _CopyWriter:
    """Writes a copy entry by entry, and keeps to the limits."""

    def __init__(self, target: Path, skipped: SkippedEntries) -> None:
        self.projects: list[str] = []
        self._target = target
        self._skipped = skipped
        self._entries = 0
        self._bytes = 0
        self._made_folders: set[Parts] = set()
        # For each collision key: the path that claimed it, and whether it is a folder.
        self._claimed: dict[str, tuple[Parts, bool]] = {}

    def add(self, entry: Entry, parts: Parts) -> None:
        """Copy one entry to `parts`, which begin with the slug. Raises Unreadable and KitError."""
        name = "/".join(parts)
        self._check_limits(parts, name)
        if entry.kind not in ("file", "folder"):
            self._skipped.add(name, entry.kind)
        elif len(parts) == 1 and entry.kind == "file":
            self._skipped.add(name, "not a folder")
        elif not all(_is_plain(part) for part in parts):
            self._skipped.add(name, "unprintable name")
        elif not self._claim(parts, is_folder=entry.kind == "folder"):
            self._skipped.add(name, "duplicate name")
        else:
            try:
                self._write(entry, parts)
            # The file system treats two names as the same that _collision_key keeps apart.
            except FileExistsError:
                self._skipped.add(name, "duplicate name")
            except OSError as error:
                what = f"{shown(self._target)} cannot be written"
                raise disk_error(what, error, self._target) from None

    def _check_limits(self, parts: Parts, name: str) -> None:
        self._entries += 1
        if self._entries > MAX_FILES:
            raise Unreadable(
                f"There are more than {MAX_FILES:,} files and folders in its exercises."
            )
        if len(parts) > MAX_DEPTH:
            raise Unreadable(f"{printable_name(name)} is more than {MAX_DEPTH} folders deep.")
        sizes = [len(part.encode(errors="surrogateescape")) for part in parts]
        if max(sizes) > MAX_NAME_BYTES or sum(sizes) > MAX_PATH_BYTES:
            raise Unreadable(f"{printable_name(name)} has too long a name.")

    def _claim(self, parts: Parts, *, is_folder: bool) -> bool:
        """Whether the path is free, and each folder above it has the spelling it had before."""
        if not all(self._is_folder(parts[:depth]) for depth in range(1, len(parts))):
            return False
        if is_folder:
            return self._is_folder(parts)
        key = _collision_key(parts)
        if key in self._claimed:
            return False
        self._claimed[key] = (parts, False)
        return True

    def _is_folder(self, parts: Parts) -> bool:
        return self._claimed.setdefault(_collision_key(parts), (parts, True)) == (parts, True)

    def _write(self, entry: Entry, parts: Parts) -> None:
        folders = parts if entry.kind == "folder" else parts[:-1]
        for depth in range(1, len(folders) + 1):
            if folders[:depth] not in self._made_folders:
                self._make_folder(folders[:depth])
        if entry.kind == "file":
            self._write_file(entry, self._target.joinpath(*parts), "/".join(parts))

    def _make_folder(self, parts: Parts) -> None:
        folder = self._target.joinpath(*parts)
        folder.mkdir(parents=len(parts) == 1)
        folder.chmod(0o755)
        self._made_folders.add(parts)
        if len(parts) == 1:
            self.projects.append(parts[0])

    def _write_file(self, entry: Entry, path: Path, name: str) -> None:
        size = 0
        with path.open("xb") as file:
            path.chmod(0o644)
            for chunk in entry.content:
                size += len(chunk)
                self._bytes += len(chunk)
                if size > MAX_FILE_BYTES:
                    raise Unreadable(
                        f"{printable_name(name)} is larger than {_mb(MAX_FILE_BYTES)}."
                    )
                if self._bytes > MAX_TOTAL_BYTES:
                    raise Unreadable(
                        f"Its exercises are larger than {_mb(MAX_TOTAL_BYTES)} in all."
                    )
                file.write(chunk)


def _collision_key(parts: Parts) -> str:
    """One key for all names that some file system, such as that of macOS, treats as the same."""
    return unicodedata.normalize("NFC", "/".join(parts).casefold())


def _is_plain(name: str) -> bool:
    """Whether a name can be printed, and is not a path on Windows."""
    return name.isprintable() and "\\" not in name


def _mb(size: int) -> str:
    return f"{size // 1_000_000} MB"
