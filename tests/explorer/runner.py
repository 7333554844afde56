"""API processes of a project of the course, each with a gate before its Redis."""

import json
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from explorer import Actor, Data, Gate
from kit.processes.child import Child
from kit.processes.ports import free_socket
from kit.processes.project import Project, project_env, start_api, wait_for_api
from kit.processes.stack import Stack


@dataclass(frozen=True)
class Answer:
    """What a call was answered."""

    status: int
    body: object

    def __str__(self) -> str:
        return str(self.status)


class Apis:
    """So many API processes of one project, on one Redis, without a worker."""

    def __init__(self, folder: Path, state: Path, count: int) -> None:
        self.folder, self.state, self.count = folder, state, count
        self._open = ExitStack()
        self.gates: list[Gate] = []
        self.urls: list[str] = []
        self.children: list[Child] = []

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            stack = opened.enter_context(Stack(self.state))
            redis_url = stack.redis()
            self.data = opened.enter_context(closing(Data(redis_url)))
            project = Project(self.folder)
            sockets = []
            for number in range(1, self.count + 1):
                gate = opened.enter_context(Gate(redis_url))
                listener = opened.enter_context(free_socket())
                env = project_env(stack.env, redis_url=gate.url, state=self.state)
                self.children.append(start_api(stack, project, number, listener, env))
                self.gates.append(gate)
                self.urls.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
                sockets.append(listener)
            for child, listener in zip(self.children, sockets, strict=True):
                wait_for_api(child, listener)
            for url in self.urls:  # whatever is done only once is done now
                post(f"{url}/start")
                self.data.redis.flushdb()
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def starts(self) -> list[Actor]:
        """One start for each process."""
        return [self._start(number) for number in range(self.count)]

    def _start(self, number: int) -> Actor:
        url, child = self.urls[number], self.children[number]
        return Actor(
            f"API {number + 1}",
            self.gates[number],
            lambda: post(f"{url}/start"),
            lambda: child.pid,
        )


def post(url: str) -> Answer:
    """Call the API."""
    request = urllib.request.Request(url, data=b"", method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            return Answer(response.status, json.load(response))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode(errors="replace"))
