"""`lab`: notebooks to play with, in JupyterLab, on copies that are the learner's."""

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from kit.errors import KitError
from kit.processes.child import Child, wait_until
from kit.processes.ports import free_port, free_socket
from kit.processes.stack import Stack
from kit.workspace import NOTEBOOKS, shown, workspace

LABS = NOTEBOOKS / "labs"
START_UP = 90.0  # seconds; JupyterLab is large, and the first time everything is cold
LOOK = 0.2

# It asks nobody for news, newer versions or extensions: the room may have no network.
QUIETLY = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def copies() -> Path:
    """The folder of the learner's copies."""
    return workspace().work / "labs"


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
        free_socket(port).close()  # says who has it, which JupyterLab does not
    token = secrets.token_hex(16)
    with Stack() as stack:
        jupyter = start_jupyter(stack, port or free_port(), token, fixed=port > 0)
        place = f"/tree/{chosen}.ipynb" if chosen else ""
        address = f"{_address(jupyter)}lab{place}?token={token}"
        with contextlib.suppress(KeyboardInterrupt):
            print(HERE.format(address=address, folder=shown(copies())), flush=True)
            if not no_browser:
                open_browser(address)
            while jupyter.running:
                time.sleep(LOOK)
        print("\nStopping: the notebooks' kernels, and what they have started.", flush=True)
        failed = jupyter.returncode  # not even ended, or 0: somebody said File, Shut Down
    if failed:
        raise KitError(f"JupyterLab ended by itself: read {shown(jupyter.log)}", "", jupyter.tail())


def find_lab(name: str) -> str:
    """The lab that `name` means. Raises KitError."""
    there = names()
    wanted = name.removesuffix(".ipynb").replace("-", "_")
    if wanted not in there:
        raise KitError(
            f"there is no lab {name!r}; there is {', '.join(there)}", f"./workshop lab {there[0]}"
        )
    return wanted


def names() -> list[str]:
    """All labs, by name."""
    return sorted(lab.stem for lab in LABS.glob("*.ipynb"))


def copy_labs(chosen: str | None = None, *, fresh: bool = False) -> Path | None:
    """Copy those labs to work/labs that are not there. Returns where old copies are kept, if any.

    `fresh`: also those that are there, or only the `chosen` one of them.
    """
    kept = None
    try:
        copies().mkdir(parents=True, exist_ok=True)
        for name in names():
            ours, theirs = LABS / f"{name}.ipynb", copies() / f"{name}.ipynb"
            if fresh and chosen in (None, name) and theirs.exists():
                kept = kept or _place_aside()
                theirs.rename(kept / theirs.name)
            if not theirs.exists():
                new = theirs.with_name(f".{name}.new")
                shutil.copyfile(ours, new)
                new.replace(theirs)
    except OSError as error:
        raise KitError(
            f"the labs cannot be copied to {shown(copies())}: {error}",
            f"ls -ld {shown(workspace().work)}; df -h {shown(workspace().work)}",
        ) from None
    return kept


def start_jupyter(stack: Stack, port: int, token: str, *, fixed: bool) -> Child:
    """Start JupyterLab, and wait until it answers. `fixed`: this port, and no other."""
    argv = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.root_dir={copies()}"]
    argv += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    argv += [f"--ServerApp.port_retries={0 if fixed else 50}", *QUIETLY]
    argv += ["--allow-root"]  # containers; it hears nobody but this machine
    home = workspace().state / "jupyter"
    env = stack.env | {
        # Settings of its own: a password or a certificate of the user's would be in the way.
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_TOKEN": token,  # by the environment: everybody can read a command line
    }
    jupyter = stack.start("jupyter", argv, cwd=copies(), env=env)
    wait_until(lambda: _answers(jupyter, token), "JupyterLab to answer", START_UP, jupyter)
    return jupyter


def open_browser(address: str) -> None:
    """Show `address`, where somebody sits who could see it."""
    if not sys.stdout.isatty():
        return
    with contextlib.suppress(webbrowser.Error):
        browser = webbrowser.get()
        # A browser for the terminal would take ours, unless somebody wants just that.
        if os.environ.get("BROWSER") or type(browser) is not webbrowser.GenericBrowser:
            browser.open(address)


def _place_aside() -> Path:
    folder = workspace().work / ".kept" / f"labs-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _address(jupyter: Child) -> str:
    """Where it listens: the port that it was given may have been taken in between."""
    file = workspace().state / "jupyter" / "runtime" / f"jpserver-{jupyter.pid}.json"
    port = json.loads(file.read_text(encoding="utf-8"))["port"]
    return f"http://127.0.0.1:{port}/"


def _answers(jupyter: Child, token: str) -> bool:
    import httpx

    headers = {"Authorization": f"token {token}"}
    try:
        url = f"{_address(jupyter)}api/status"
        return httpx.get(url, headers=headers, timeout=5, trust_env=False).is_success
    except (OSError, ValueError, httpx.HTTPError):
        return False


HERE = """\
The labs: {address}
They are in {folder}, and yours: change what you like. `./workshop lab --fresh` brings ours back.
Ctrl-C stops it."""
