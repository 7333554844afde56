"""The packages that `./workshop pack` has fetched, as an index that pip and uv understand.

The index has only files that requirements.lock names by their hash: whatever else is in the folder
is not served. Those who install check the hash once more.
"""

import hashlib
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging import tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from kit.setup.bootstrap import LOCK
from kit.setup.layers import LAYERS
from kit.setup.layers import packages as packages_of
from kit.setup.lock import locked
from kit.setup.wheelhouse import PLATFORMS, PYTHONS, Platform, requirements

HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME = re.compile(r"[\w.-]+")
MACOS = (14, 0)
PAGE = "<!doctype html><title>{title}</title>\n{links}\n"


@dataclass(frozen=True)
class PackageFile:
    """A file of the folder. `tags`: the machines it is for; None for a source, which all build."""

    path: Path
    name: str
    sha256: str
    tags: frozenset[tags.Tag] | None


class Packages:
    """The files of a folder that the lock names. `others`: how many files it does not name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lock = LOCK.read_text(encoding="utf-8")
        known = set(HASH.findall(lock))
        found = [each for file in sorted(folder.iterdir()) if (each := _read(file))]
        self.files = {each.path.name: each for each in found if each.sha256 in known}
        self.others = len(found) - len(self.files)
        self._lock = lock

    def layers(self, machine: str) -> list[str]:
        """The layers that a kind of machine can install from here, as `linux-x86_64 3.12`."""
        return [name for name in LAYERS if not self.missing(name)[machine]]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(each.path.stat().st_size for each in self.files.values())

    def missing(self, layer: str = "course") -> dict[str, list[str]]:
        """For each kind of machine, the packages of a layer that are not here."""
        entries = locked(packages_of([layer]), self._lock)
        return {
            f"{name} {python}": self._missing(entries, platform, python)
            for name, platform in PLATFORMS.items()
            for python in PYTHONS
        }

    def routes(self) -> list[BaseRoute]:
        """The index at /simple/, and the files at /packages/."""
        return [
            Route("/simple/", self._index),
            Route("/simple/{name}/", self._links),
            Route("/packages/{name}", self._file),
        ]

    def _missing(self, entries: list[str], platform: Platform, python: str) -> list[str]:
        fits = set(_tags(platform, python))
        here = {
            each.sha256: each.name
            for each in self.files.values()
            if each.tags is None or each.tags & fits
        }
        gone = []
        for entry in requirements(entries, platform.markers(python)):
            if not any(found in here for found in HASH.findall(entry)):
                gone.append(entry.partition("=")[0])
        return gone

    def _index(self, request: Request) -> Response:
        names = sorted({each.name for each in self.files.values()})
        return _page("Packages", (f'<a href="/simple/{name}/">{name}</a><br>' for name in names))

    def _links(self, request: Request) -> Response:
        name = canonicalize_name(request.path_params["name"])
        mine = [each for each in self.files.values() if each.name == name]
        if not mine:
            return Response(status_code=404)
        return _page(name, (_link(each) for each in mine))

    def _file(self, request: Request) -> Response:
        # A name, looked up: no path is made of what was asked for.
        found = self.files.get(request.path_params["name"])
        return FileResponse(found.path) if found else Response(status_code=404)


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
    if platform.sys_platform == "darwin":
        systems = list(tags.mac_platforms(MACOS, platform.machine))
    else:
        systems = list(platform.tags)
    yield from tags.cpython_tags((major, minor), platforms=systems)
    yield from tags.compatible_tags((major, minor), f"cp{major}{minor}", systems)


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _link(file: PackageFile) -> str:
    name = html.escape(file.path.name)
    return f'<a href="/packages/{name}#sha256={file.sha256}">{name}</a><br>'


def _page(title: str, links: Iterable[str]) -> Response:
    return HTMLResponse(PAGE.format(title=html.escape(title), links="\n".join(links)))
