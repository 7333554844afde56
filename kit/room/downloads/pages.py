"""What the room serves besides board and attendees: kit, packages, handbook and slides."""

import functools
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from kit import identity
from kit.room.downloads.packages import Packages
from kit.room.downloads.repository import BRANCH, KitFiles
from kit.room.security import HEADERS
from kit.site import handbook, slides
from kit.site.server import Build, Pages

SCRIPT = Path(__file__).with_name("join_room.py")
PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
ADDRESS = 'ROOM = "http://127.0.0.1:8003"'  # of the script; the room's own takes its place


def join_line(address: str) -> str:
    """What attendees type."""
    # Without a proxy, which knows no address of this network.
    opener = "r.build_opener(r.ProxyHandler({}))"
    python = f"import urllib.request as r;exec({opener}.open('{address}/join').read())"
    return f'python3 -c "{python}"'


def kit_routes(
    address: str, files: KitFiles | None, packages: Packages | None
) -> Sequence[BaseRoute]:
    """The welcome, the script, the kit and the packages. Folders are never listed."""
    told = {
        "commit": files.commit if files else "",
        "branch": BRANCH,
        "origin": files.origin if files else "",
        "packages": packages is not None,
        "missing": packages.missing() if packages else {},
    }

    def welcome(request: Request) -> Response:
        line = join_line(address) if files else ""
        page = PAGES.get_template("welcome.html.j2")
        html = page.render(address=address.removeprefix("http://"), line=line, icon=identity.icon())
        return HTMLResponse(html, headers=HEADERS)

    def script(request: Request) -> Response:
        text = SCRIPT.read_text(encoding="utf-8")
        assert ADDRESS in text
        return PlainTextResponse(text.replace(ADDRESS, f'ROOM = "{address}"'))

    def kit(request: Request) -> Response:
        return JSONResponse(told)

    def archive(request: Request) -> Response:
        assert files is not None
        return FileResponse(files.archive)

    routes: list[BaseRoute] = [Route("/", welcome), *(packages.routes() if packages else ())]
    if files is not None:
        routes += [
            Route("/join", script),
            Route("/kit.json", kit),
            Route("/kit.tar.gz", archive),
            Mount("/kit.git", StaticFiles(directory=files.repository)),
        ]
    return routes


def to_read() -> tuple[list[BaseRoute], list[tuple[Pages, Build]]]:
    """Handbook and slides, and how they are built."""
    of_handbook, of_slides = Pages(), Pages()
    routes: list[BaseRoute] = [Mount("/handbook", of_handbook), Mount("/slides", of_slides)]
    builds: list[tuple[Pages, Build]] = [
        (of_handbook, functools.partial(handbook.up_to_date, live=False)),
        (of_slides, slides.up_to_date),
    ]
    return routes, builds
