"""Processes that belong together: Redis, API processes, workers.

Each runs on a leash (see leash.py), so it ends with this process, however this process ends.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from kit.errors import KitError, without_password
from kit.processes.child import Child, NotReady, wait_until
from kit.processes.forkserver import ForkServerClient
from kit.processes.ports import free_port, is_taken
from kit.processes.redis_tiers import (
    RedisChoice,
    find_redis,
    redis_answers,
    redis_command,
    why_no_redis,
)
from kit.workspace import ROOT, workspace

LOG_RETENTION = 7 * 24 * 3600  # seconds


class RedisServer:
    """A Redis server that the stack has started. It can be started again on the same port."""

    def __init__(
        self, stack: "Stack", choice: RedisChoice, port: int, folder: Path, appendonly: bool
    ) -> None:
        self.stack = stack
        self.choice = choice
        self.port = port
        self.folder = folder
        self.appendonly = appendonly
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        argv = redis_command(self.choice, self.port, self.folder, appendonly=self.appendonly)
        self.child = self.stack.start("redis", argv, cwd=ROOT)
        wait_until(lambda: redis_answers(self.url), "Redis to answer", 30, self.child)

    def stop(self) -> None:
        """End it with SIGTERM, as an administrator would."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        if self.child is not None:
            self.child.kill()


class Stack:
    """Processes that belong together: started in order, stopped in reverse.

    `state` is the folder for data (default: that of the workspace), and `logs` the one for logs
    (default: below `state`). `env` is the environment of the processes (default: that of this
    process). `temporary` is the folder for their temporary files. By default it is a new folder,
    removed when the stack stops: a worker or a kernel that is killed removes no file itself.
    `fork_server`: see Child.
    """

    def __init__(
        self,
        state: Path | None = None,
        env: Mapping[str, str] | None = None,
        logs: Path | None = None,
        temporary: Path | None = None,
        *,
        fork_server: ForkServerClient | None = None,
    ) -> None:
        self.state = state = state or workspace().state
        self.env = dict(os.environ if env is None else env)
        self.fork_server = fork_server
        self.children: list[Child] = []
        self.redis_choice: RedisChoice | None = None
        self.redis_server: RedisServer | None = None
        self.largest_file = 0  # bytes that a child may write into one file; 0 means no limit
        self._temporary_folders: list[Path] = []
        if temporary is None:
            # Not below `state`: kernels make sockets in it, and the path of a socket must be short.
            temporary = _new_folder("workshop-", _existing(self.env.get("TMPDIR")))
            self._temporary_folders.append(temporary)
        self._temporary = temporary
        if logs is None:
            logs = state / "logs"
            logs.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(state, temporary.parent)
        self.logs = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=logs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        grace: float = 10.0,
    ) -> Child:
        """Start a process. It takes the place of one of the same name that has ended."""
        child = Child(
            name,
            argv,
            self.logs / f"{name}.log",
            cwd=cwd,
            env={**(self.env if env is None else env), "TMPDIR": str(self._temporary)},
            pass_fds=pass_fds,
            grace=grace,
            largest_file=self.largest_file,
            fork_server=self.fork_server,
        )
        for place, old in enumerate(self.children):
            if old.name == name and not old.running:
                self.children[place] = child
                break
        else:
            self.children.append(child)
        return child

    def redis(self, port: int = 0, folder: Path | None = None, *, appendonly: bool = False) -> str:
        """Start or adopt a Redis and return its URL.

        `port` 0 means a free one. Without `folder` the data goes when the stack stops.
        Raises KitError when REDIS_URL is set and that Redis cannot be used.
        """
        choice = self.redis_choice = find_redis(self.env)
        if choice.tier == "url":
            if why := why_no_redis(choice.url):
                raise KitError(
                    f"REDIS_URL is {without_password(choice.url)}, and {why}",
                    "`unset REDIS_URL` to have the kit start one, or fix that Redis or its URL",
                )
            return choice.url
        if folder is None:
            folder = _new_folder("redis-", self.state)
            self._temporary_folders.append(folder)
        for _ in range(4):
            server = RedisServer(self, choice, port or free_port(), folder, appendonly)
            try:
                server.start()
                break
            except NotReady:
                # Another program may have taken the port before Redis did. Then try another port.
                if port or not is_taken(server.port):
                    raise
        else:
            raise KitError("no port stays free long enough for Redis", "try again")
        self.redis_server = server
        return server.url

    def stop(self) -> None:
        """Stop all processes, the last one first. An exception, as Ctrl-C, kills the others."""
        try:
            while self.children:
                self.children[-1].stop()
                self.children.pop()
        except BaseException:
            self.kill()
            raise
        self._clear()

    def kill(self) -> None:
        """Kill all processes."""
        while self.children:
            self.children.pop().kill()
        self._clear()

    def _clear(self) -> None:
        while self._temporary_folders:
            shutil.rmtree(self._temporary_folders.pop(), ignore_errors=True)


def _new_folder(prefix: str, place: Path | str | None) -> Path:
    """A new folder with the pid of this process in its name, for `_remove_leftovers`."""
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=place))


def _existing(folder: str | None) -> str | None:
    """None for a TMPDIR that is not there: then the module tempfile takes another folder, too."""
    return folder if folder and Path(folder).is_dir() else None


def _remove_leftovers(state: Path, temporary: Path) -> None:
    """Remove old logs, and the folders of processes that were killed before they could do it."""
    for folder in [*state.glob("redis-*-*"), *temporary.glob("workshop-*-*")]:
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (state / "logs").iterdir():
        with contextlib.suppress(OSError):
            if folder.is_dir() and time.time() - folder.stat().st_mtime > LOG_RETENTION:
                shutil.rmtree(folder, ignore_errors=True)
