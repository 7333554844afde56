"""`room`: the instructor's machine serves the room, and shows how it is doing."""

from pathlib import Path
from typing import Annotated

import typer

from kit.course.catalogue import TRACKS

PORT = 8003


def room(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of this machine, in the room's network.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = PORT,
    packages: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What `./workshop pack` has fetched.")
    ] = None,
    track: Annotated[str, typer.Option(help=f"One of {', '.join(TRACKS)}.")] = "",
    start: Annotated[str, typer.Option(metavar="HH:MM", help="When the agenda begins.")] = "",
    new: Annotated[bool, typer.Option("--new", help="Begin a new room; the old is kept.")] = False,
    summary_as: Annotated[
        str, typer.Option("--summary", metavar="FORMAT", help="Only print it: markdown or csv.")
    ] = "",
) -> None:
    """Serve a room: attendees join it, and the board shows how far they are. Ctrl-C stops it.

    A room that is stopped and started again goes on where it was.

    Example: ./workshop room --host 192.168.1.20
    """
    # Not every set-up has its packages, and `./workshop --help` imports this module.
    from kit.commands.instructor.room_server import serve

    serve(host, port, packages, track=track, start=start, new=new, summary_as=summary_as)
