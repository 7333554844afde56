"""Find the learners' submissions: each is a repository, as a folder or an archive."""

import contextlib
import errno
import itertools
import os
import shlex
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kit.classroom.intake.entries import is_ignored
from kit.course import catalogue
from kit.errors import KitError
from kit.workspace import shown

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".zip")
# Learners hand these in as well. They are found, so that copying can say that they are unreadable.
UNSUPPORTED_SUFFIXES = (".tar", ".tar.bz2", ".tar.xz", ".tar.zst", ".tbz2", ".txz", ".7z", ".rar")
JOINER = "\u200d"  # makes one emoji of several
MAX_NAME_CHARACTERS = 80
MAX_NAME_BYTES = 200  # file systems allow 255, and reports add a suffix

Kind = Literal["folder", "archive"]


@dataclass(frozen=True)
class Source:
    """A learner's submission.

    `name` is safe as the name of a file, and no other learner has it, upper and lower case treated
    as the same.
    """

    name: str
    path: Path
    kind: Kind


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """The submissions at these paths: repositories, archives and folders of either, by name.

    Raises KitError for a path that does not exist, holds no work, or is one exercise only.
    """
    slugs = {exercise.slug for exercise in catalogue.load()}
    found: dict[Path, tuple[str, Kind]] = {}
    for path in paths:
        for name, resolved, kind in _sources_at(path, slugs):
            found.setdefault(resolved, (name, kind))
    return _with_unique_names(found)


def _sources_at(path: Path, slugs: set[str]) -> Iterator[tuple[str, Path, Kind]]:
    typed = path.absolute()
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:  # Path.exists would hide it, since Python 3.14
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise _unreadable(typed, error) from None
        raise KitError(f"{shown(typed)} is not there", f"ls {_quoted(typed.parent)}") from None
    resolved = path.resolve()
    name = resolved.name if path.name in ("", "..") else path.name
    if is_file and _is_archive(name):
        yield _without_suffix(name), resolved, "archive"
    elif not resolved.is_dir():
        raise KitError(
            f"{shown(typed)} is neither a folder nor one of {', '.join(ARCHIVE_SUFFIXES)}",
            "./workshop grade --help",
        )
    elif _is_repository(resolved, slugs):
        yield name, resolved, "folder"
    elif _is_project(resolved, slugs):
        raise KitError(
            f"{shown(typed)} is one exercise, not a folder with a learner's exercises",
            f"./workshop grade {_quoted(typed.parent)}",
        )
    else:
        yield from _sources_in_class(resolved, typed, slugs)


def _sources_in_class(resolved: Path, typed: Path, slugs: set[str]) -> list[tuple[str, Path, Kind]]:
    """The learners in a folder of submissions, also those with nothing to grade in their folder."""
    try:
        entries = _visible_entries(resolved)
    except OSError as error:
        raise _unreadable(typed, error) from None
    learners: list[tuple[str, Path, Kind]] = []
    has_work = False
    for name, kind in sorted(entries.items()):
        entry = resolved / name
        if kind == "folder":
            archive = _only_archive(entry)
            learners.append((name, archive or entry, "archive" if archive else "folder"))
            has_work = has_work or bool(archive) or _holds_repository(entry, slugs)
        elif _is_archive(name) or name.lower().endswith(UNSUPPORTED_SUFFIXES):
            learners.append((_without_suffix(name), entry, "archive"))
            has_work = True
        elif kind == "link to a folder":
            learners.append((name, entry, "folder"))
    if not has_work:
        raise KitError(
            f"there is no learner's work in {shown(typed)}: no exercise (a folder like "
            f"{min(slugs)}, in work/ or at the top), no archive, and no folder of either",
            f"ls {_quoted(typed)}",
        )
    return learners


def _unreadable(typed: Path, error: OSError) -> KitError:
    return KitError(f"{shown(typed)} cannot be read: {error.strerror}", f"ls -ld {_quoted(typed)}")


def _quoted(path: Path) -> str:
    """`path` for a command to paste: learners' names have spaces."""
    return shlex.quote(shown(path))


def _is_repository(folder: Path, slugs: set[str]) -> bool:
    names = _subfolders(folder)
    work = _subfolders(folder / "work") if "work" in names else None
    if work is not None and (
        not work or any(catalogue.number_of(Path(name)) is not None for name in work)
    ):
        return True  # perhaps empty so far
    if {"exercises", "solutions"} <= names:  # a clone of the kit without work
        return True
    numbered = {name for name in names if catalogue.number_of(Path(name)) is not None}
    return bool(names & slugs) or (
        bool(numbered) and all(_is_project(folder / name, slugs) for name in numbered)
    )


def _is_project(folder: Path, slugs: set[str]) -> bool:
    """Whether the folder is an exercise, perhaps with a wrong name.

    A number alone is not enough: an instructor may number the learners, too (01-ada).
    """
    if folder.name in slugs:
        return True
    if catalogue.number_of(folder) is None:
        return False
    entries = _visible_entries_if_readable(folder)
    return not entries.keys() & {"work", *slugs} and bool(
        entries.keys() & {"nb_runner", "pyproject.toml"}
    )


def _holds_repository(folder: Path, slugs: set[str]) -> bool:
    """Whether it is a repository, or its only folder is one, as when an archive was unpacked."""
    if _is_repository(folder, slugs):
        return True
    within = [folder / name for name in _subfolders(folder)]
    return len(within) == 1 and _is_repository(within[0], slugs)


def _only_archive(folder: Path) -> Path | None:
    """The archive in a folder that holds no other archive or folder: platforms export that."""
    entries = _visible_entries_if_readable(folder)
    archives = [name for name, kind in entries.items() if kind == "file" and _is_archive(name)]
    alone = len(archives) == 1 and "folder" not in entries.values()
    return folder / archives[0] if alone else None


def _subfolders(folder: Path) -> set[str]:
    return {name for name, kind in _visible_entries_if_readable(folder).items() if kind == "folder"}


def _visible_entries_if_readable(folder: Path) -> dict[str, str]:
    """Empty if the folder cannot be read: copying says so later."""
    try:
        return _visible_entries(folder)
    except OSError:
        return {}


def _visible_entries(folder: Path) -> dict[str, str]:
    """The kind of each entry that is not hidden: folder, file, link to a folder, link."""
    with os.scandir(folder) as found:
        return {each.name: _kind(each) for each in found if not _is_hidden(each.name)}


def _kind(entry: "os.DirEntry[str]") -> str:
    if entry.is_symlink():
        with contextlib.suppress(OSError):
            return "link to a folder" if entry.is_dir() else "link"
        return "link"
    return "folder" if entry.is_dir(follow_symlinks=False) else "file"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_ignored(name)


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def _without_suffix(name: str) -> str:
    for suffix in (*ARCHIVE_SUFFIXES, *UNSUPPORTED_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _with_unique_names(found: dict[Path, tuple[str, Kind]]) -> list[Source]:
    """Give each source its own name: the first one keeps it, the others get a number."""
    ordered = sorted(
        (_safe_file_name(name), str(path), kind) for path, (name, kind) in found.items()
    )
    taken: dict[str, str] = {}  # for each name in lower case: the path of its source
    for name, path, _ in ordered:
        taken.setdefault(name.casefold(), path)
    sources = []
    for name, path, kind in ordered:
        if taken[name.casefold()] != path:
            name = next(other for other in _numbered_names(name) if other.casefold() not in taken)
            taken[name.casefold()] = path
        sources.append(Source(name, Path(path), kind))
    return sorted(sources, key=lambda source: source.name)


def _numbered_names(name: str) -> Iterator[str]:
    for number in itertools.count(2):
        suffix = f"-{number}"
        yield _shortened(name, len(suffix)) + suffix


def _safe_file_name(name: str) -> str:
    """`name` as the name of a file on any system. Letters, digits and emoji are kept."""
    normal = unicodedata.normalize("NFC", name)
    plain = "".join(each if _is_safe(each) else "_" for each in normal)
    return _shortened(plain.strip(" .-"), 0) or "learner"


def _is_safe(character: str) -> bool:
    category = unicodedata.category(character)
    # Sk: the colours of emoji; those of ASCII (` and ^) mean something to a shell.
    emoji = category == "So" or (category == "Sk" and not character.isascii())
    return character in f" -_.@+{JOINER}" or category[0] in "LMN" or emoji


def _shortened(name: str, reserved: int) -> str:
    name = name[: MAX_NAME_CHARACTERS - reserved]
    return name.encode()[: MAX_NAME_BYTES - reserved].decode(errors="ignore").rstrip(" .-")
