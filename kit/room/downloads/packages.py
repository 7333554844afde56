"""The packages that `./workshop pack` has fetched, as an index that pip and uv understand.

The index has only files that requirements.lock names by their hash: whatever else is in the folder
is not served. Those who install check the hash once more.
"""

import html
from collections.abc import Iterable
from pathlib import Path

from packaging.utils import canonicalize_name
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from kit.setup.bootstrap import LOCK
from kit.setup.layers import LAYERS
from kit.setup.layers import packages as packages_of
from kit.setup.lock import locked, name_of
from kit.setup.packed import PackageFile, PackedFiles
from kit.setup.wheelhouse import PATCHES, PLATFORMS, PYTHONS, Platform, requirements

PAGE = "<!doctype html><title>{title}</title>\n{links}\n"


class Packages:
    """The files of a folder that the lock names. `others`: how many files it does not name."""

    def __init__(self, folder: Path) -> None:
        self._lock = LOCK.read_text(encoding="utf-8")
        self._packed = PackedFiles(folder, self._lock)
        self.files, self.others = self._packed.files, self._packed.others

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
        wanted = {
            entry
            for patch in PATCHES
            for entry in requirements(entries, platform.markers(python, patch))
        }
        return sorted(map(name_of, self._packed.missing(wanted, platform, python)))

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


def _link(file: PackageFile) -> str:
    name = html.escape(file.path.name)
    return f'<a href="/packages/{name}#sha256={file.sha256}">{name}</a><br>'


def _page(title: str, links: Iterable[str]) -> Response:
    return HTMLResponse(PAGE.format(title=html.escape(title), links="\n".join(links)))
