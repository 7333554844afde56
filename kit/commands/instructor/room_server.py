"""What `./workshop room` prints and starts. It needs packages of the layer `site`."""

import contextlib
import io
import threading
import time
from pathlib import Path

import segno

from kit.commands.instructor.agenda import ANY_START, STARTS, minute_of
from kit.course import catalogue
from kit.course.catalogue import TRACKS, Exercise
from kit.errors import KitError
from kit.processes.ports import free_socket
from kit.room.address import chosen
from kit.room.app import room_app
from kit.room.board import summary
from kit.room.board.schedule import Schedule, schedule
from kit.room.downloads.packages import Packages
from kit.room.downloads.pages import join_line, kit_routes, to_read
from kit.room.downloads.repository import KitFiles, kit_files
from kit.room.server import serving_room
from kit.room.store import Store
from kit.site.server import building
from kit.storage import timestamp, unused
from kit.workspace import shown, workspace


def serve(
    host: str | None,
    port: int,
    packages: Path | None,
    *,
    track: str,
    start: str,
    new: bool,
    summary_as: str,
) -> None:
    """What `./workshop room` does, with its options."""
    exercises = catalogue.load()
    folder = workspace().state / "room"
    file = folder / "room.sqlite"
    if summary_as:
        print(_summary(file, exercises, summary_as), end="")
        return
    address = chosen(host)
    folder.mkdir(parents=True, exist_ok=True)
    if new:
        _set_aside(file)
    with free_socket(port, address) as sock, contextlib.closing(Store(file, exercises)) as store:
        url = f"http://{address}:{sock.getsockname()[1]}"
        plan = _plan(store, exercises, track, start)
        files, wheels = kit_files(folder), _packages(packages)
        to_read_routes, builds = to_read()
        pages = [*kit_routes(url, files, wheels), *to_read_routes]
        app = room_app(store, exercises, plan, url, pages)
        with serving_room(app, sock), building(builds):
            print(welcome(url, store, files), flush=True)
            if wheels is not None:
                print(packed(wheels), flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    print("\nStopped. `./workshop room` goes on with it.")


def welcome(url: str, store: Store, files: KitFiles | None) -> str:
    """What the instructor reads, and shows."""
    address, code = url.removeprefix("http://"), store.setting("code")
    lines = [f"The room: {url}", "", qr_code(url)]
    if files is None:
        lines += [
            "The kit is no clone of a git repository, so attendees cannot fetch it from here."
        ]
    else:
        lines += ["Without the kit, they type:", f"  {join_line(url)}"]
        if files.dirty:
            lines += [f"They get {files.commit[:8]}: what you have changed since is in no commit."]
    return "\n".join(
        [
            *lines,
            "With the kit, they type, with a name of their own:",
            f"  ./workshop join {address} --as NAME",
            f"The code of the room: {code}",
            "",
            f"The board, for you alone: {url}/board#{store.setting('secret')}",
            "Ctrl-C stops it.",
        ]
    )


def packed(wheels: Packages) -> str:
    """For which machines the room has the packages."""
    missing = wheels.missing()
    whole = [name for name, names in missing.items() if not names]
    lines = [f"Packages: {len(wheels.files)} files, {wheels.size / 1e6:.0f} MB"]
    lines += [f"  for {name}: {', '.join(wheels.layers(name))}" for name in whole]
    if not whole:
        name, gone = min(missing.items(), key=lambda each: len(each[1]))
        lines.append(f"  not enough for any machine; missing for {name}: {', '.join(gone[:3])}")
    if wheels.others:
        lines.append(f"  {wheels.others} other files are not what requirements.lock names")
    return "\n".join(lines)


def _packages(folder: Path | None) -> Packages | None:
    if folder is None:
        return None
    if not folder.is_dir():
        raise KitError(f"there is no folder {shown(folder)}", f"./workshop pack {shown(folder)}")
    return Packages(folder)


def qr_code(text: str) -> str:
    """The QR code, for a terminal."""
    out = io.StringIO()
    segno.make(text, micro=False).terminal(out, compact=True)
    return out.getvalue()


def _plan(store: Store, exercises: list[Exercise], track: str, start: str) -> Schedule:
    """The agenda that was asked for, now or when the room was started before."""
    if track and track not in TRACKS:
        raise KitError(f"there is no track {track!r}; there is {', '.join(TRACKS)}")
    chosen_track = track or store.setting("track") or TRACKS[0]
    began = start or store.setting("start") or STARTS.get(chosen_track, ANY_START)
    minute = minute_of("--start", began)
    store.remember(track=chosen_track, start=began)
    return schedule(chosen_track, minute, exercises)


def _summary(file: Path, exercises: list[Exercise], form: str) -> str:
    if form not in ("markdown", "csv"):
        raise KitError(f"there is no format {form!r}; there is markdown, csv")
    if not file.exists():
        raise KitError("there has been no room here", "./workshop room")
    with contextlib.closing(Store(file, exercises)) as store:
        if form == "csv":
            return summary.as_csv(store.attendees(), exercises)
        began = time.strftime("%d %B %Y", time.localtime(float(store.setting("began"))))
        return summary.as_markdown(store.attendees(), exercises, began)


def _set_aside(file: Path) -> None:
    if file.exists():
        # With SQLite's own files, in which the last changes may be.
        target = unused(file.with_name(f"room-{timestamp()}.sqlite"))
        for suffix in ("", "-wal", "-shm"):
            part = file.with_name(file.name + suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
