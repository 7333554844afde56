"""What a folder of packages holds: which files the lock names, and for which machines.

A file counts by its hash, never by its name.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging import tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from kit.setup.wheelhouse import Platform

HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME = re.compile(r"[\w.-]+")
MACOS = (14, 0)


@dataclass(frozen=True)
class PackageFile:
    """A file of the folder. `tags`: the machines it is for; None for a source, which all build."""

    path: Path
    name: str
    sha256: str
    tags: frozenset[tags.Tag] | None


class PackedFiles:
    """The files of a folder that a lock names. `others`: how many packages it does not name."""

    def __init__(self, folder: Path, lock: str) -> None:
        known = set(HASH.findall(lock))
        found = [each for file in sorted(folder.iterdir()) if (each := _read(file))]
        self.files = {each.path.name: each for each in found if each.sha256 in known}
        self.others = len(found) - len(self.files)

    def missing(self, wanted: Iterable[str], platform: Platform, python: str) -> list[str]:
        """Of these entries of the lock, those of which there is no file for a kind of machine."""
        fits = set(_tags(platform, python))
        here = {
            each.sha256 for each in self.files.values() if each.tags is None or each.tags & fits
        }
        return [entry for entry in wanted if here.isdisjoint(HASH.findall(entry))]


def _read(file: Path) -> PackageFile | None:
    """What a file is; None for what is no package."""
    if not file.is_file() or not NAME.fullmatch(file.name.replace("+", "").replace("!", "")):
        return None
    try:
        if file.suffix == ".whl":
            name, _, _, fits = parse_wheel_filename(file.name)
            return PackageFile(file, name, _hash(file), fits)
        name, _ = parse_sdist_filename(file.name)
        return PackageFile(file, name, _hash(file), None)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _tags(platform: Platform, python: str) -> Iterable[tags.Tag]:
    """The tags of wheels that a machine takes."""
    major, minor = (int(part) for part in python.split("."))
    systems: Sequence[str] = platform.tags
    if platform.sys_platform == "darwin":
        systems = list(tags.mac_platforms(MACOS, platform.machine))
    yield from tags.cpython_tags((major, minor), platforms=systems)
    yield from tags.compatible_tags((major, minor), f"cp{major}{minor}", systems)


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
