"""Whose work there is: each learner's repository, as a folder or an archive."""

import contextlib
import itertools
import os
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kit.classroom.intake.entries import left_out
from kit.course import catalogue
from kit.errors import KitError
from kit.workspace import shown

ARCHIVES = (".tar.gz", ".tgz", ".zip")
# Handed in by people all the same: they are told, and not left out.
OTHER_ARCHIVES = (".tar", ".tar.bz2", ".tar.xz", ".tar.zst", ".tbz2", ".txz", ".7z", ".rar")
LONGEST_NAME = 80  # characters
LONGEST_NAME_BYTES = 200  # file systems take 255, and reports add a suffix

Kind = Literal["folder", "archive"]


@dataclass(frozen=True)
class Source:
    """A learner's work. `name` is theirs alone, also where case does not count, and can be a
    file's.
    """

    name: str
    path: Path
    kind: Kind


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """Whose work is meant: by repositories, archives and folders of either. Sorted by name.

    Raises KitError for a path that is not there, holds no work, or is one exercise only.
    """
    slugs = {exercise.slug for exercise in catalogue.load()}
    found: dict[Path, tuple[str, Kind]] = {}
    for path in paths:
        for name, place, kind in _meant_by(path, slugs):
            found.setdefault(place, (name, kind))
    return _named(found)


def _meant_by(path: Path, slugs: set[str]) -> Iterator[tuple[str, Path, Kind]]:
    called = path.absolute()
    try:
        there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise _unreadable(called, error) from None
    if not there:
        raise KitError(f"{shown(called)} is not there", f"ls {_typed(called.parent)}")
    place = path.resolve()
    name = place.name if path.name in ("", "..") else path.name
    if is_file and _is_archive(name):
        yield _without_suffix(name), place, "archive"
    elif not place.is_dir():
        raise KitError(
            f"{shown(called)} is neither a folder nor one of {', '.join(ARCHIVES)}",
            "./workshop grade --help",
        )
    elif _is_repository(place, slugs):
        yield name, place, "folder"
    elif _is_project(place, slugs):
        raise KitError(
            f"{shown(called)} is one exercise, not the folder of somebody's exercises",
            f"./workshop grade {_typed(called.parent)}",
        )
    else:
        yield from _class_in(place, called, slugs)


def _class_in(place: Path, called: Path, slugs: set[str]) -> list[tuple[str, Path, Kind]]:
    """The learners in a folder of submissions: those who handed in nothing, too."""
    try:
        pieces = _pieces(place)
    except OSError as error:
        raise _unreadable(called, error) from None
    learners: list[tuple[str, Path, Kind]] = []
    somebody = False
    for name, kind in sorted(pieces.items()):
        entry = place / name
        if kind == "folder":
            archive = _lone_archive(entry)
            learners.append((name, archive or entry, "archive" if archive else "folder"))
            somebody = somebody or bool(archive) or _holds_repository(entry, slugs)
        elif _is_archive(name) or name.lower().endswith(OTHER_ARCHIVES):
            learners.append((_without_suffix(name), entry, "archive"))
            somebody = True
        elif kind == "link to a folder":
            learners.append((name, entry, "folder"))
    if not somebody:
        raise KitError(
            f"there is no learner's work in {shown(called)}: no exercise (a folder like "
            f"{min(slugs)}, in work/ or at the top), no archive, and no folder of either",
            f"ls {_typed(called)}",
        )
    return learners


def _unreadable(called: Path, error: OSError) -> KitError:
    return KitError(f"{shown(called)} cannot be read: {error.strerror}", f"ls -ld {_typed(called)}")


def _typed(path: Path) -> str:
    """Names of learners have spaces in them."""
    return shlex.quote(shown(path))


def _is_repository(folder: Path, slugs: set[str]) -> bool:
    names = _folders(folder)
    work = _folders(folder / "work") if "work" in names else None
    if work is not None and (
        not work or any(catalogue.number_of(Path(name)) is not None for name in work)
    ):
        return True  # so far, with nothing in it perhaps
    if {"exercises", "solutions"} <= names:  # the kit itself, where nobody worked yet
        return True
    numbered = {name for name in names if catalogue.number_of(Path(name)) is not None}
    return bool(names & slugs) or (
        bool(numbered) and all(_is_project(folder / name, slugs) for name in numbered)
    )


def _is_project(folder: Path, slugs: set[str]) -> bool:
    """An exercise, or what somebody took for one. Learners may have a number, too: 01-ada."""
    if folder.name in slugs:
        return True
    if catalogue.number_of(folder) is None:
        return False
    pieces = _pieces_or_none(folder)
    return not pieces.keys() & {"work", *slugs} and bool(
        pieces.keys() & {"nb_runner", "pyproject.toml"}
    )


def _holds_repository(folder: Path, slugs: set[str]) -> bool:
    """Whether it is one, or has one in it and nothing else: archives unpack to that."""
    if _is_repository(folder, slugs):
        return True
    within = [folder / name for name in _folders(folder)]
    return len(within) == 1 and _is_repository(within[0], slugs)


def _lone_archive(folder: Path) -> Path | None:
    """The one archive in a folder of nothing else: so learning platforms give them to us."""
    pieces = _pieces_or_none(folder)
    archives = [name for name, kind in pieces.items() if kind == "file" and _is_archive(name)]
    alone = len(archives) == 1 and "folder" not in pieces.values()
    return folder / archives[0] if alone else None


def _folders(folder: Path) -> set[str]:
    return {name for name, kind in _pieces_or_none(folder).items() if kind == "folder"}


def _pieces_or_none(folder: Path) -> dict[str, str]:
    """Nothing if it cannot be read, which is said when it is copied."""
    try:
        return _pieces(folder)
    except OSError:
        return {}


def _pieces(folder: Path) -> dict[str, str]:
    """What is to be seen in a folder: a folder, a file, a link to a folder, another link."""
    with os.scandir(folder) as found:
        return {each.name: _kind(each) for each in found if not _is_hidden(each.name)}


def _kind(piece: "os.DirEntry[str]") -> str:
    if piece.is_symlink():
        with contextlib.suppress(OSError):
            return "link to a folder" if piece.is_dir() else "link"
        return "link"
    return "folder" if piece.is_dir(follow_symlinks=False) else "file"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or left_out(name)


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def _without_suffix(name: str) -> str:
    for suffix in (*ARCHIVES, *OTHER_ARCHIVES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _named(found: dict[Path, tuple[str, Kind]]) -> list[Source]:
    """Give each a name of their own: who comes first keeps it, the others get a number."""
    ordered = sorted((_safe(name), str(place), kind) for place, (name, kind) in found.items())
    taken: dict[str, str] = {}  # who holds a name, by their place
    for name, place, _ in ordered:
        taken.setdefault(name.casefold(), place)
    sources = []
    for name, place, kind in ordered:
        if taken[name.casefold()] != place:
            name = next(other for other in _numbered(name) if other.casefold() not in taken)
            taken[name.casefold()] = place
        sources.append(Source(name, Path(place), kind))
    return sorted(sources, key=lambda source: source.name)


def _numbered(name: str) -> Iterator[str]:
    for number in itertools.count(2):
        suffix = f"-{number}"
        yield _cut(name, len(suffix)) + suffix


def _safe(name: str) -> str:
    """A name that can be a file's everywhere, and is still theirs: letters and digits of any
    script.
    """
    normal = unicodedata.normalize("NFC", name)
    plain = "".join(each if _is_plain(each) else "_" for each in normal)
    return _cut(plain.strip(" .-"), 0) or "learner"


def _is_plain(character: str) -> bool:
    return character in " -_.@+" or unicodedata.category(character)[0] in "LMN"


def _cut(name: str, reserved: int) -> str:
    name = name[: LONGEST_NAME - reserved]
    return name.encode()[: LONGEST_NAME_BYTES - reserved].decode(errors="ignore").rstrip(" .-")
