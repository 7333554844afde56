"""`room`: the instructor's machine serves the room, and shows how it is doing."""

import contextlib
import io
import threading
from pathlib import Path
from typing import Annotated

import segno
import typer

from kit.course import catalogue
from kit.processes.ports import free_socket
from kit.room.address import chosen
from kit.room.app import room_app
from kit.room.server import serving_room
from kit.room.store import Store
from kit.storage import timestamp, unused
from kit.workspace import workspace

PORT = 8003


def room(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of this machine, in the room's network.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
    new: Annotated[bool, typer.Option("--new", help="Begin a new room; the old is kept.")] = False,
) -> None:
    """Serve a room: attendees join it, and the board shows how far they are. Ctrl-C stops it.

    A room that is stopped and started again goes on where it was.

    Example: ./workshop room --host 192.168.1.20
    """
    address = chosen(host)
    folder = workspace().state / "room"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "room.sqlite"
    if new:
        _set_aside(file)
    exercises = catalogue.load()
    with free_socket(port, address) as sock, contextlib.closing(Store(file, exercises)) as store:
        url = f"http://{address}:{sock.getsockname()[1]}"
        with serving_room(room_app(store), sock):
            print(welcome(url, store), flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    print("\nStopped. `./workshop room` goes on with it.")


def welcome(url: str, store: Store) -> str:
    """What the instructor reads, and shows."""
    code = store.setting("code")
    return f"""\
The room: {url}

{qr_code(url)}
They type, in a folder of the kit, with a name of their own:
  ./workshop join {url.removeprefix("http://")} --as NAME --code {code}

The board, for you alone: {url}/board#{store.setting("secret")}
Ctrl-C stops it."""


def qr_code(text: str) -> str:
    """The QR code, for a terminal."""
    out = io.StringIO()
    segno.make(text, micro=False).terminal(out, compact=True)
    return out.getvalue()


def _set_aside(file: Path) -> None:
    if file.exists():
        # With SQLite's own files, in which the last changes may be.
        target = unused(file.with_name(f"room-{timestamp()}.sqlite"))
        for suffix in ("", "-wal", "-shm"):
            part = file.with_name(file.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
