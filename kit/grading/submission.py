"""A learner's project: its processes, started as its users would start them."""

import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from kit.errors import KitError
from kit.grading.api import Api
from kit.grading.diagnosis import place, reason
from kit.grading.options import GraderOptions
from kit.processes.child import Child, NotReady
from kit.processes.environment import allowed
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    has_started,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.redis_tiers import FIRST_FOR_REAL, INSTALL_REDIS
from kit.processes.stack import Stack
from kit.verdicts import values
from kit.verdicts.failure import Wrong
from kit.verdicts.values import Kind
from kit.workspace import shown, sqlite_url

if TYPE_CHECKING:
    from redis import Redis

# We hand over a socket, and then uvicorn names that.
OWN_SERVER = re.compile(r"Uvicorn running on (http\S+)")
REDIS_TIMEOUT = 60.0  # seconds for an answer to a grader: redis-py gives up after 5
LARGEST_FILE = 64 << 20  # bytes; endless output must not fill the disk

Env = Mapping[str, str | None]  # variables in addition to the usual ones; None: not set


class Submission:
    """A project under test. `close` ends the processes that it started."""

    def __init__(self, folder: Path, options: GraderOptions) -> None:
        self.options = options
        self.folder = folder.absolute()
        self.project = Project(self.folder)
        self.number = self.project.number or 0
        # The project must see `state`, and must not get at its logs: they may lie apart.
        shared = options.shared
        self.state = Path(tempfile.mkdtemp(prefix="workshop-check-", dir=shared))
        self.apis: list[Child] = []
        self.workers: list[Child] = []
        self._open: list[Api | socket.socket] = []
        self._started_with: dict[str, tuple[socket.socket, Mapping[str, str]]] = {}
        self._starting = threading.Lock()  # some tests start processes in threads
        self._redis_url = ""
        # A project must see its own files only, and compile anew what was saved a moment ago.
        package = self.folder / "nb_runner"
        if not package.is_symlink():  # to a place where we have nothing to remove
            shutil.rmtree(package / "__pycache__", ignore_errors=True)
        self._logs = Path(tempfile.mkdtemp(prefix="workshop-logs-"))
        for folder_of_ours in (self.state, self._logs):
            values.note(Kind.FOLDER, folder_of_ours)
        # A shared folder is emptied by the program that shares it.
        env, server = allowed(os.environ), options.fork_server
        self.stack = Stack(self.state, env, self._logs, temporary=shared, fork_server=server)
        self.stack.largest_file = LARGEST_FILE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def redis_url(self) -> str:
        """A Redis for this project alone; started when it is first wanted, empty."""
        if not self._redis_url:
            self._redis_url = self.options.redis_url or self.stack.redis()
            self._refuse_imitations()
            values.note(Kind.PORT, urlsplit(self._redis_url).port)
            with _client(self._redis_url) as client:
                client.flushall()
        return self._redis_url

    @property
    def redis(self) -> "Redis":
        """A client of that Redis, to look at what the project keeps there."""
        return _client(self.redis_url)

    def env(self, more: Env | None = None) -> dict[str, str]:
        """The environment of the project's processes, with `more` in it."""
        more = more or {}
        given = {name: value for name, value in more.items() if value is not None}
        own = {
            "DATABASE_URL": sqlite_url(self.state / "check.db"),
            "ARTIFACTS_DIR": str(self.state / "artifacts"),
        }
        redis_url = self.redis_url if self.project.has_worker else ""
        whole = project_env(self.stack.env | own | given, redis_url=redis_url, state=self.state)
        unset = more.keys() - given.keys()
        return {name: value for name, value in (whole | given).items() if name not in unset}

    def up(self, api: int = 1, workers: int = 0, env: Env | None = None) -> Api:
        """Start API processes, on one port, and workers. Returns a client when all are up."""
        _require_package(self.folder, "main.py")
        if workers:
            _require_package(self.folder, "tasks.py")
        variables = self.env(env)
        sock = free_socket()
        self._open.append(sock)
        apis = [self._start_api(sock, variables) for _ in range(api)]
        started = [self._start_worker(variables) for _ in range(workers)]
        for child in apis:
            self._wait_for_api(child, sock)
        for child in started:
            self._wait_for_worker(child)
        return self._client(apis[0], sock)

    def up_apart(
        self,
        *envs: Env,
        workers: int = 0,
        worker_env: Env | None = None,
    ) -> list[Api]:
        """Like `up`, but with one API process for each of `envs`, on a port of its own.

        So a test chooses which API process it asks. `worker_env` is for the workers.
        """
        return [api for api, _ in self.up_each(envs, [worker_env or {}] * workers)[0]]

    def up_each(
        self, apis: Sequence[Env], workers: Sequence[Env] = ()
    ) -> tuple[list[tuple[Api, Child]], list[Child]]:
        """Like `up_apart`, with an environment for each worker, too. Returns the processes."""
        _require_package(self.folder, "main.py")
        if workers:
            _require_package(self.folder, "tasks.py")
        socks = [free_socket() for _ in apis]
        self._open += socks
        pairs = zip(socks, apis, strict=True)
        children = [self._start_api(sock, self.env(env)) for sock, env in pairs]
        started = [self._start_worker(self.env(env)) for env in workers]
        for child, sock in zip(children, socks, strict=True):
            self._wait_for_api(child, sock)
        for child in started:
            self._wait_for_worker(child)
        pairs_up = zip(children, socks, strict=True)
        return [(self._client(child, sock), child) for child, sock in pairs_up], started

    def worker(self, env: Env | None = None) -> Child:
        """Start one more worker."""
        _require_package(self.folder, "tasks.py")
        child = self._start_worker(self.env(env))
        self._wait_for_worker(child)
        return child

    def restart_api(self, ended: Child) -> Child:
        """Start an API process that has ended again, on its port and with its environment."""
        sock, env = self._started_with[ended.name]
        number = self.apis.index(ended)
        child = start_api(self.stack, self.project, number + 1, sock, env)
        self.apis[number] = child
        self._wait_for_api(child, sock)
        return child

    def close(self) -> None:
        """Kill all processes at once, without a graceful shutdown."""
        for thing in self._open:
            thing.close()
        with contextlib.suppress(KitError):
            self.stack.kill()
        for folder in (self.state, self._logs):
            shutil.rmtree(folder, ignore_errors=True)

    def _client(self, child: Child, sock: socket.socket) -> Api:
        url = f"http://127.0.0.1:{values.note(Kind.PORT, sock.getsockname()[1])}"
        client = Api(url, lambda: reason(child.output()[-20_000:]))
        self._open.append(client)
        return client

    def _start_api(self, sock: socket.socket, env: Mapping[str, str]) -> Child:
        with self._starting:
            child = start_api(self.stack, self.project, len(self.apis) + 1, sock, env)
            self._started_with[child.name] = sock, env
            self.apis.append(child)
        return child

    def _start_worker(self, env: Mapping[str, str]) -> Child:
        with self._starting:
            child = start_worker(self.stack, self.project, len(self.workers) + 1, env)
            self.workers.append(child)
        return child

    def _wait_for_api(self, child: Child, sock: socket.socket) -> None:
        try:
            wait_for_api(
                child,
                sock,
                self.options.start_timeout,
                meanwhile=lambda: self._refuse_own_server(child),
            )
        except NotReady:
            did = f"./workshop run {self.number:02}"
            where = place(child.output()) or "nb_runner/main.py"
            raise Wrong(did, "an API that starts", self._not_up(child), where) from None

    def _wait_for_worker(self, child: Child) -> None:
        did = f"./workshop run {self.number:02}"

        def look() -> None:
            """Raise Wrong early: a worker with a wrong broker URL would retry until the timeout."""
            if found := re.search(r"Cannot connect to (\S+): ", child.output()):
                expected = "a worker with its broker where REDIS_URL says"
                url = found[1].replace("//:**@", "//")  # Celery's mask of no password
                got = f"it looks for it at {url}, where there is none"
                raise Wrong(did, expected, got, "nb_runner/tasks.py: app")

        try:
            wait_for_worker(child, self.options.start_timeout, look)
        except NotReady:
            got = self._not_up(child)
            where = place(child.output()) or "nb_runner/tasks.py"
            raise Wrong(did, "a worker that starts", got, where) from None

    def _refuse_own_server(self, child: Child) -> None:
        if found := OWN_SERVER.search(child.output()):
            child.kill()
            raise Wrong(
                f"./workshop run {self.number:02}",
                "a module that can be imported, and then served where we say",
                f"importing it starts a server of its own, at {found[1]}, and goes no further",
                "nb_runner/main.py: uvicorn.run()",
            )

    def _not_up(self, child: Child) -> str:
        """Why a process is not up: the error in its log, else the last lines of the log."""
        log = child.output()
        what = "does not start yet"
        if child.running:
            child.kill()
            if has_started(child):
                waited = f"{self.options.start_timeout:g} s"
                return f"it has started, and GET /ping gets no answer within {waited}"
            what = f"was not up after {self.options.start_timeout:g} s"
        if len(log) > 1_000_000:
            return f"it {what}, and prints without end: {log[:80]!r} …"
        why = reason(log)
        tail = "\n".join(log.splitlines()[-5:])
        if why or not tail:
            return f"it {what}: {why or 'what runs on import does not come to an end'}"
        return f"it {what}. Its last words:\n{tail}"

    def _refuse_imitations(self) -> None:
        choice = self.stack.redis_choice
        if choice and choice.limits and self.number >= FIRST_FOR_REAL:
            raise KitError(
                f"{self.folder.name} needs a real Redis, and there is only {choice.tier} here: "
                f"{choice.limits}",
                INSTALL_REDIS,
            )


def _client(url: str) -> "Redis":
    from redis import Redis  # takes a tenth of a second, which exercises 01 to 04 need not pay

    return Redis.from_url(url, decode_responses=True, socket_timeout=REDIS_TIMEOUT)


def _require_package(folder: Path, name: str) -> None:
    file = folder / "nb_runner" / name
    if not file.is_file():
        raise Wrong(f"ls {shown(folder)}/nb_runner", name, "there is no such file", str(file))
