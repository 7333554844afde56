"""`lab`: notebooks to play with, in JupyterLab, on copies that are the learner's."""

import contextlib
import secrets
import time
from typing import Annotated

import typer

from kit.errors import KitError
from kit.labs.copies import copies, copy_labs, find_lab
from kit.labs.jupyter import address, start_jupyter
from kit.processes.ports import free_port, free_socket
from kit.processes.stack import Stack
from kit.terminal.browser import open_browser
from kit.workspace import shown

POLL_INTERVAL = 0.2  # seconds
HERE = """\
The labs: {page}
They are in {folder}, and yours: change what you like. `./workshop lab --fresh` brings ours back.
Ctrl-C stops it."""


def lab(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The one to open: redis_lock, say.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say the address.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew; your copies are kept aside.")
    ] = False,
) -> None:
    """Open JupyterLab on the labs: notebooks to watch Celery, Redis and nbclient at work.

    Ctrl-C stops it, and all that the notebooks have started.

    Example: ./workshop lab redis_lock
    """
    chosen = None if name is None else find_lab(name)
    kept = copy_labs(chosen, fresh=fresh)
    if kept is not None:
        print(f"Your copies are kept in {shown(kept)}")
    if port:
        free_socket(port).close()  # its error names the process that has the port
    token = secrets.token_hex(16)
    with Stack() as stack:
        jupyter = start_jupyter(stack, port or free_port(), token, fixed=port > 0)
        place = f"/tree/{chosen}.ipynb" if chosen else ""
        page = f"{address(jupyter)}lab{place}?token={token}"
        with contextlib.suppress(KeyboardInterrupt):
            print(HERE.format(page=page, folder=shown(copies())), flush=True)
            if not no_browser:
                open_browser(page)
            while jupyter.running:
                time.sleep(POLL_INTERVAL)
        print("\nStopping: the notebooks' kernels, and what they have started.", flush=True)
        # None after Ctrl-C: it still runs. 0: it was shut down from its menu.
        failed = jupyter.returncode
    if failed:
        raise KitError(f"JupyterLab ended by itself: read {shown(jupyter.log)}", "", jupyter.tail())
