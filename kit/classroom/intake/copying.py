"""Copy what a learner handed in, to grade the copy: files and folders, so much and no more."""

import hashlib
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit.classroom.intake.archives import in_archive
from kit.classroom.intake.entries import Entry, Parts, Unreadable, Want, in_folder, left_out
from kit.classroom.intake.skipped import NotCopied, readable
from kit.classroom.intake.sources import Source
from kit.course import catalogue
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.workspace import shown

FILES = 5_000  # and folders, of one learner's asked-for exercises
ALL_BYTES = 100_000_000
FILE_BYTES = 20_000_000
DEPTH = 20  # folders below each other
NAME_BYTES = 200  # of a file or folder
PATH_BYTES = 1_000  # from the exercise's folder on

NOTHING = (
    "Nothing was handed in: no exercise (a folder like {slug}) is in work/ or at the top, "
    "so there is nothing to grade."
)


@dataclass
class Copied:
    """What was copied, by the exercises' slugs. With a `problem`, nothing is.

    `notes` say what was not copied, or not taken for an exercise. A digest is of names and
    contents, so it is the same for the same work on every machine.
    """

    projects: dict[str, Path] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""


def copy_work(source: Source, exercises: Sequence[Exercise], target: Path) -> Copied:
    """Copy the exercises in `source` to target/NN-slug, where nothing is yet.

    Bad work is told, never raised. Raises KitError when `target` cannot be written.
    """
    slugs = [exercise.slug for exercise in exercises]
    for slug in slugs:
        if (target / slug).exists():
            raise KitError(f"{shown(target / slug)} is there already", f"ls {shown(target)}")
    notes = NotCopied()
    copy = _Copy(target, notes)
    copied = Copied()
    misplaced: list[str] = []
    try:
        folders = _folders(source)
        base = _base(folders, slugs)
        misplaced = _misplaced(folders, base, exercises)
        for entry in _entries(source, _wanted(base, slugs)):
            if entry.kind == "outside":
                notes.add(entry.name, "outside")
            elif len(entry.parts) > len(base):
                copy.take(entry, entry.parts[len(base) :])
        copied.projects = {slug: target / slug for slug in slugs if slug in copy.projects}
        copied.digests = {slug: digest(folder) for slug, folder in copied.projects.items()}
    except Unreadable as problem:
        copied.problem = str(problem)
        for slug in copy.projects:
            shutil.rmtree(target / slug)
    copied.notes = [*misplaced, *notes.sentences()]
    return copied


def digest(folder: Path) -> str:
    """A hash of all names and contents in a copy."""
    hashed = hashlib.sha256()
    pieces = {piece.relative_to(folder).as_posix(): piece for piece in folder.rglob("*")}
    for name, piece in sorted(pieces.items()):
        content = piece.read_bytes() if piece.is_file() else None
        size = "folder" if content is None else len(content)
        hashed.update(f"{len(name)} {name} {size}\n".encode() + (content or b""))
    return hashed.hexdigest()


def _entries(source: Source, want: Want) -> Iterator[Entry]:
    return (in_folder if source.kind == "folder" else in_archive)(source.path, want)


def _folders(source: Source) -> set[Parts]:
    """The folders at the top, and so far below as exercises can be: repo-main/work/NN-slug."""

    def may_lead_there(parts: Parts) -> bool:
        if any(left_out(part) or len(part) > NAME_BYTES for part in parts[:3]):
            return False
        if source.kind == "archive":  # which need not list the folders that its files are in
            return True
        return len(parts) == 1 or (len(parts) <= 3 and ("work" in parts[:2] or _is_numbered(parts)))

    folders = set()
    for entry in _entries(source, may_lead_there):
        deepest = len(entry.parts) if entry.kind == "folder" else len(entry.parts) - 1
        folders |= {entry.parts[:depth] for depth in range(1, min(deepest, 3) + 1)}
    return folders


def _is_numbered(parts: Parts) -> bool:
    return catalogue.number_of(Path(parts[-1])) is not None


def _base(folders: set[Parts], slugs: Sequence[str]) -> Parts:
    """Where the exercises are: in work/, at the top, or so in the one folder around all.

    Raises Unreadable when there are none.
    """
    bases: list[Parts] = [("work",), ()]
    tops = [parts for parts in folders if len(parts) == 1 and not parts[0].startswith(".")]
    if len(tops) == 1:
        bases += [(*tops[0], "work"), tops[0]]
    for base in bases:
        if any((*base, slug) in folders for slug in slugs):
            return base
    for base in bases:
        if any(_is_numbered(parts) for parts in folders if parts[:-1] == base):
            return base
    raise Unreadable(NOTHING.format(slug=slugs[0]))


def _in(folders: set[Parts], base: Parts) -> list[str]:
    return sorted(parts[-1] for parts in folders if parts[:-1] == base)


def _misplaced(folders: set[Parts], base: Parts, exercises: Iterable[Exercise]) -> list[str]:
    """Who meant an exercise, but did not call it so, wants to know."""
    notes = []
    for exercise in exercises:
        slug = exercise.slug
        if (*base, slug) in folders:
            continue
        for name in _in(folders, base):
            if catalogue.number_of(Path(name)) == exercise.number:
                notes.append(f"{readable(name)} is not called {slug}, so it is not graded.")
        if base and (*base[:-1], slug) in folders:
            notes.append(f"{slug} is not in {base[-1]}/, so it is not graded.")
    return notes


def _wanted(base: Parts, slugs: Sequence[str]) -> Want:
    def wanted(parts: Parts) -> bool:
        if len(parts) <= len(base):
            return parts == base[: len(parts)]
        above, slug, rest = parts[: len(base)], parts[len(base)], parts[len(base) + 1 :]
        return above == base and slug in slugs and not any(left_out(part) for part in rest)

    return wanted


class _Copy:
    """A copy that grows, with what it may still hold."""

    def __init__(self, target: Path, notes: NotCopied) -> None:
        self.projects: list[str] = []
        self._target = target
        self._notes = notes
        self._entries = 0
        self._bytes = 0
        self._made: set[Parts] = set()
        self._taken: dict[str, tuple[Parts, bool]] = {}  # is it a folder?

    def take(self, entry: Entry, parts: Parts) -> None:
        """Copy one piece; `parts` begin with the exercise. Raises Unreadable and KitError."""
        name = "/".join(parts)
        self._limit(parts, name)
        if entry.kind not in ("file", "folder"):
            self._notes.add(name, entry.kind)
        elif len(parts) == 1 and entry.kind == "file":
            self._notes.add(name, "no folder")
        elif not all(_is_plain(part) for part in parts):
            self._notes.add(name, "odd")
        elif not self._claim(parts, is_folder=entry.kind == "folder"):
            self._notes.add(name, "twice")
        else:
            try:
                self._write(entry, parts)
            except FileExistsError:  # not all systems mean the same by "the same name"
                self._notes.add(name, "twice")
            except OSError as error:
                raise KitError(
                    f"{shown(self._target)} cannot be written: {error.strerror}",
                    f"df -h {shown(self._target)}",
                ) from None

    def _limit(self, parts: Parts, name: str) -> None:
        self._entries += 1
        if self._entries > FILES:
            raise Unreadable(f"There are more than {FILES:,} files and folders in its exercises.")
        if len(parts) > DEPTH:
            raise Unreadable(f"{readable(name)} is more than {DEPTH} folders deep.")
        sizes = [len(part.encode(errors="surrogateescape")) for part in parts]
        if max(sizes) > NAME_BYTES or sum(sizes) > PATH_BYTES:
            raise Unreadable(f"{readable(name)} has too long a name.")

    def _claim(self, parts: Parts, *, is_folder: bool) -> bool:
        """Whether this name is free, and those of the folders above are what they were."""
        if not all(self._is_folder(parts[:depth]) for depth in range(1, len(parts))):
            return False
        if is_folder:
            return self._is_folder(parts)
        key = _same_for_all(parts)
        if key in self._taken:
            return False
        self._taken[key] = (parts, False)
        return True

    def _is_folder(self, parts: Parts) -> bool:
        return self._taken.setdefault(_same_for_all(parts), (parts, True)) == (parts, True)

    def _write(self, entry: Entry, parts: Parts) -> None:
        folders = parts if entry.kind == "folder" else parts[:-1]
        for depth in range(1, len(folders) + 1):
            if folders[:depth] not in self._made:
                self._make(folders[:depth])
        if entry.kind == "file":
            self._write_file(entry, self._target.joinpath(*parts), "/".join(parts))

    def _make(self, parts: Parts) -> None:
        folder = self._target.joinpath(*parts)
        folder.mkdir(parents=len(parts) == 1)
        folder.chmod(0o755)
        self._made.add(parts)
        if len(parts) == 1:
            self.projects.append(parts[0])

    def _write_file(self, entry: Entry, place: Path, name: str) -> None:
        size = 0
        with place.open("xb") as file:
            place.chmod(0o644)
            for chunk in entry.content:
                size += len(chunk)
                self._bytes += len(chunk)
                if size > FILE_BYTES:
                    raise Unreadable(f"{readable(name)} is larger than {_mb(FILE_BYTES)}.")
                if self._bytes > ALL_BYTES:
                    raise Unreadable(f"Its exercises are larger than {_mb(ALL_BYTES)} in all.")
                file.write(chunk)


def _same_for_all(parts: Parts) -> str:
    """The same for names that are the same on one system or another: macOS', say."""
    return unicodedata.normalize("NFC", "/".join(parts).casefold())


def _is_plain(name: str) -> bool:
    """Whether a name can be shown, and means the same everywhere."""
    return name.isprintable() and "\\" not in name


def _mb(size: int) -> str:
    return f"{size // 1_000_000} MB"
