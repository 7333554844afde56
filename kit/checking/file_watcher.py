"""Noticing that the learner saved something."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from kit.errors import KitError

SETTLED = 40  # milliseconds without another change: an editor may write several files
SETTLED_AT_LAST = 400
POLLED = 250  # milliseconds between looks, where the system does not tell of changes
LOOK = 1000  # milliseconds between looks at whether folder and parent are still there


class Saves:
    """Files saved in a project's folder. A process of its own watches, so that ours can fork:
    the watching takes threads, and threads do not survive that.
    """

    def __init__(self, folder: Path) -> None:
        self.connection, theirs = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.get_context("fork").Process(
            target=_watch, args=(folder, theirs, os.getpid()), daemon=True
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self) -> list[str]:
        """What was saved, as names below the folder. Raises KitError when nobody watches."""
        names: list[str] = []
        try:
            while self.connection.poll():
                names += self.connection.recv()
        except (EOFError, OSError):
            raise KitError("nobody watches the folder any more", "./workshop watch") from None
        return list(dict.fromkeys(names))

    def close(self) -> None:
        """Stop watching."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _watch(folder: Path, told: Connection, parent: int) -> None:
    """In the process of its own."""
    os.setpgrp()  # Ctrl-C is for the parent, who ends us
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    polling = os.environ.get("WATCHFILES_FORCE_POLLING") is not None or None
    while os.getppid() == parent:
        try:
            for names in _changes(folder, parent, polling):
                told.send(names)
        except FileNotFoundError:
            _wait_for(folder, parent)
            told.send(["nb_runner"])  # new, all of it
        except OSError as error:
            if polling:  # then there is no other way
                print(f"workshop: {folder} cannot be watched: {error}", file=sys.stderr)
                return
            polling = True  # the system has no watches left, or cannot watch there


def _changes(folder: Path, parent: int, polling: bool | None) -> Iterator[list[str]]:
    """Yields names until the parent ends. Raises FileNotFoundError when the folder is replaced."""
    from watchfiles import Change, DefaultFilter, watch

    born = folder.stat().st_ino
    for changes in watch(
        folder,
        watch_filter=DefaultFilter(),
        debounce=SETTLED_AT_LAST,
        step=SETTLED,
        rust_timeout=LOOK,
        yield_on_timeout=True,
        force_polling=polling,
        poll_delay_ms=POLLED,
    ):
        if os.getppid() != parent:
            return
        if folder.stat().st_ino != born:
            raise FileNotFoundError
        # An editor's file that came and went on the way to a save is nobody's business.
        came = {path for change, path in changes if change == Change.added}
        gone = {path for path in came if not Path(path).exists()}
        left = {path for _, path in changes} - gone
        names = [name for path in left if (name := matters(Path(path), folder))]
        if names:
            yield sorted(set(names))


def matters(file: Path, folder: Path) -> str:
    """The file's name below the folder, if a check looks at it."""
    with contextlib.suppress(ValueError):
        name = file.relative_to(folder)
        top = name.parts[0] if name.parts else ""
        if top in ("nb_runner", "pyproject.toml") or top.startswith("poetry."):
            return str(name)
    return ""


def _wait_for(folder: Path, parent: int) -> None:
    """Until it is there again: `reset` puts a new one in its place."""
    import time

    while not folder.is_dir() and os.getppid() == parent:
        time.sleep(LOOK / 5000)
