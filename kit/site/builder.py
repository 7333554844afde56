"""Built pages: made anew when their sources are newer, and served on 127.0.0.1 until Ctrl-C."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.processes.ports import free_socket
from kit.storage import replacing_folder
from kit.workspace import ROOT, shown, workspace

Build = Callable[[Path], None]
BUILT = "built"  # a file in each folder of pages, as old as the sources it was made from


def fresh(name: str, sources: Iterable[Path], build: Build) -> Path:
    """The folder .workshop/NAME with what `build` writes; built again when a source is newer.

    Raises KitError when it cannot be written, and what `build` raises.
    """
    folder = workspace().state / name
    newest = max((_changed(source) for source in sources), default=0.0)
    stamp = folder / BUILT
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == str(newest):
        return folder
    try:
        workspace().state.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as pages:
            build(pages)
            (pages / BUILT).write_text(str(newest), encoding="utf-8")
    except (OSError, shutil.Error) as error:
        raise KitError(
            f"{shown(folder)} cannot be written: {error}",
            f"ls -ld {shown(workspace().state)}; df -h .",
        ) from None
    return folder


def run_builder(what: str, words: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a Python program that builds pages. Raises KitError, with its last words."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise KitError(f"the {what} cannot be built", "./workshop setup; git status", tail)


@contextlib.contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """Serves `folder` from a thread; yields its address. `port` 0 is any free one.

    Raises KitError, naming who holds the port, when it is taken.
    """
    with free_socket(port) as sock:
        server = ThreadingHTTPServer(sock.getsockname(), _handler(folder), bind_and_activate=False)
        server.socket.close()
        server.socket = sock
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/"
        finally:
            server.shutdown()
            thread.join()


def until_interrupted(what: str, address: str) -> None:
    """Say where it is, and wait for Ctrl-C."""
    print(f"{what}: {address}\nCtrl-C stops it.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    print("\nStopped.")


def _changed(source: Path) -> float:
    """When a file, or the newest below a folder, was changed; 0 when it is not there."""
    files = source.rglob("*") if source.is_dir() else [source]
    times = (each.stat().st_mtime for each in files if each.is_file() and not _is_cache(each))
    return max(times, default=0.0)


def _is_cache(file: Path) -> bool:
    return any(part == "__pycache__" or part.endswith("_cache") for part in file.parts)


def _handler(folder: Path) -> Callable[..., SimpleHTTPRequestHandler]:
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def end_headers(self) -> None:
            self.send_header("Cache-Control", "no-cache")  # a `git pull` may bring new pages
            super().end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: it is the reader's terminal."""

    return Quiet
