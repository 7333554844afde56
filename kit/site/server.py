"""The one server of built pages: on 127.0.0.1, from a thread."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.errors import KitError
from kit.processes.ports import free_socket
from kit.processes.stack import Stack
from kit.site import handbook, slides

PORT = 8001  # of handbook and slides together, when it is free
HERE = "/here"  # where pages of the handbook ask for the learner's place
STOP_POLL_INTERVAL = 0.2  # seconds
Build = Callable[[Stack], Path]
BEING_BUILT = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>In a moment</title><body style="font: 1.2rem system-ui; margin: 3rem">
<p>This is being built, and comes by itself in a moment."""


class Pages:
    """The pages below one path. Until they are built, a page says so and reloads itself."""

    def __init__(self, folder: Path | None = None) -> None:
        self._app: ASGIApp = HTMLResponse(BEING_BUILT, status_code=503)
        if folder is not None:
            self.show(folder)

    def show(self, folder: Path) -> None:
        """The pages are built: serve them."""
        self._app = _Files(directory=folder, html=True)

    def show_error(self, error: KitError) -> None:
        """The pages cannot be built: say why."""
        text = "\n\n".join([error.message, error.detail, f"Try: {error.fix}"])
        self._app = PlainTextResponse(text, status_code=500)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"  # a `git pull` may bring new pages
        return response


@contextlib.contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve `folder`; yields its address. `port` 0 is any free one.

    Raises KitError, naming the program that holds the port, when it is taken.
    """
    with free_socket(port) as sock, _running({"": Pages(folder)}, sock) as address:
        yield address


@contextlib.contextmanager
def serving_both(learner: ASGIApp, port: int | None = None) -> Iterator[str]:
    """Serve the handbook, and the slides below it at slides/. Yields the address.

    `learner` answers below `/here`, where the pages ask for the learner's place. `port` 0 is any
    free one; without a port, it is PORT, or any free one when that is taken.

    Both are built meanwhile, where a source is newer.

    Raises KitError, naming the program that holds the port, when `port` is taken.
    """
    sock = _usual_socket() if port is None else free_socket(port)
    of_handbook, of_slides = Pages(), Pages()
    builds: list[tuple[Pages, Build]] = [
        (of_handbook, handbook.up_to_date),
        (of_slides, slides.up_to_date),
    ]
    apps: dict[str, ASGIApp] = {HERE: learner, "/slides": of_slides, "": of_handbook}
    with sock, _running(apps, sock) as address, building(builds):
        yield address


@contextlib.contextmanager
def building(builds: Sequence[tuple[Pages, Build]]) -> Iterator[None]:
    """Build pages in a thread, one after the other, and show each when it is built."""
    stopping = threading.Event()

    def build(stack: Stack) -> None:
        for pages, up_to_date in builds:
            if stopping.is_set():
                return
            try:
                pages.show(up_to_date(stack))
            except KitError as error:
                pages.show_error(error)

    with Stack() as stack:
        builder = threading.Thread(target=build, args=(stack,), daemon=True)
        try:  # an interrupt may come as soon as the thread has begun
            builder.start()
            yield
        finally:
            stopping.set()
            while builder.is_alive():  # it removes what is half built
                stack.kill()
                builder.join(STOP_POLL_INTERVAL)


def wait_for_interrupt(what: str, address: str) -> None:
    """Print where it is served, and wait for Ctrl-C."""
    print(f"{what}: {address}\nCtrl-C stops it.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    print("\nStopped.")


def _usual_socket() -> socket.socket:
    try:
        return free_socket(PORT)
    except KitError:  # another program has the port, or a second `./workshop`
        return free_socket()


@contextlib.contextmanager
def _running(apps: Mapping[str, ASGIApp], sock: socket.socket) -> Iterator[str]:
    """Serve apps by their paths, on a listening socket. Yields the address."""
    app = Starlette(routes=[Mount(path, each) for path, each in apps.items()])
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",  # it is the reader's terminal
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    address = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
