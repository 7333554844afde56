"""Noticing that the learner saved something."""

import contextlib
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from kit.errors import KitError

STEP = 40  # milliseconds without another change end a batch: an editor may write several files
DEBOUNCE = 400  # milliseconds until a batch ends at the latest
POLL_INTERVAL = 250  # milliseconds, where the system does not report changes
FOLDER_POLL_INTERVAL = 1000  # milliseconds between looks at whether the folder was replaced
MISSING_POLL_INTERVAL = 0.2  # seconds between looks at whether a missing folder is there again


class FileWatcher:
    """Files saved in a project's folder, which a thread watches."""

    def __init__(self, folder: Path) -> None:
        # A connection, because `watch` waits for saves, keys and verdicts at once.
        self.connection, self._sender = multiprocessing.Pipe(duplex=False)
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="file-watcher", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self) -> list[str]:
        """What was saved, as names below the folder. Raises KitError when the thread has ended."""
        names: list[str] = []
        try:
            while self.connection.poll():
                names += self.connection.recv()
        except (EOFError, OSError):
            raise KitError("the folder is not watched any more", "./workshop watch") from None
        return list(dict.fromkeys(names))

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self.connection.close()  # a send that waits for room in the pipe ends
        self._thread.join()

    def _run(self) -> None:
        """In the thread. Its end closes the connection, so that `take` notices it."""
        with self._sender, contextlib.suppress(BrokenPipeError):
            self._watch()

    def _watch(self) -> None:
        polling: bool | None = None  # then the library reads WATCHFILES_FORCE_POLLING
        while not self._stop.is_set():
            try:
                for names in self._changes(polling):
                    self._sender.send(names)
            except FileNotFoundError:
                self._wait_for_folder()
                self._sender.send(["nb_runner"])  # new, all of it
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                if polling:  # then there is no other way
                    print(f"workshop: {self._folder} cannot be watched: {error}", file=sys.stderr)
                    return
                polling = True  # the system has no watches left, or cannot watch there

    def _changes(self, polling: bool | None) -> Iterator[list[str]]:
        """Yields names until `close`. Raises FileNotFoundError when the folder is replaced."""
        from watchfiles import Change, DefaultFilter, watch

        folder = self._folder
        inode = folder.stat().st_ino
        for changes in watch(
            folder,
            watch_filter=DefaultFilter(),
            stop_event=self._stop,
            debounce=DEBOUNCE,
            step=STEP,
            rust_timeout=FOLDER_POLL_INTERVAL,
            yield_on_timeout=True,
            force_polling=polling,
            poll_delay_ms=POLL_INTERVAL,
        ):
            if folder.stat().st_ino != inode:
                raise FileNotFoundError
            # An editor may write a temporary file and rename it: that file does not matter.
            added = {path for change, path in changes if change == Change.added}
            gone = {path for path in added if not Path(path).exists()}
            left = {path for _, path in changes} - gone
            names = [name for path in left if (name := matters(Path(path), folder))]
            if names:
                yield sorted(set(names))

    def _wait_for_folder(self) -> None:
        """Wait until the folder is there again: `reset` puts a new one in its place."""
        while not self._folder.is_dir() and not self._stop.wait(MISSING_POLL_INTERVAL):
            pass


def matters(file: Path, folder: Path) -> str:
    """The file's name below the folder, if a check looks at it."""
    with contextlib.suppress(ValueError):
        name = file.relative_to(folder)
        top = name.parts[0] if name.parts else ""
        if top in ("nb_runner", "pyproject.toml") or top.startswith("poetry."):
            return str(name)
    return ""
