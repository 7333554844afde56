"""A gate: a proxy before Redis for one process, which decides when each command may pass."""

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from explorer.commands import Command, is_step
from explorer.connection import Connection, Passed

BLOCKED = 0.05  # seconds after which a blocking command is taken to wait


class Gate:
    """Listens on 127.0.0.1 and passes on to the Redis of `url`. It opens at first.

    `changed` is told whenever a command arrives, passes, is answered, or a connection ends.
    """

    def __init__(self, url: str, counts: Callable[[Command], bool] = is_step) -> None:
        self._target = urlsplit(url)
        if self._target.scheme != "redis":
            raise ValueError(f"a gate needs a URL redis://…, not {self._target.scheme}://…")
        self.counts = counts
        self.changed = threading.Condition()
        self.held: list[Command] = []  # that wait here, in the order of their arrival
        self.passed: list[Passed] = []  # since the last `hold`
        self._free = True
        self._permits: deque[bool] = deque()  # one for each command that may pass: is it cut?
        self._connections: set[Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """What the process takes for the URL of Redis."""
        user, at, _ = self._target.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        return self._target._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()

    def hold(self) -> None:
        """Let no command pass from now on, and forget those that have passed."""
        with self.changed:
            self._free = False
            self._permits.clear()
            self.passed = []

    def let(self, commands: int = 1, *, cut: bool = False) -> None:
        """Let so many commands pass, and hold what follows.

        `cut`: the last of them reaches Redis, and its connection is cut before the answer.
        """
        with self.changed:
            self._permits += [False] * (commands - 1) + [cut]
            self.changed.notify_all()

    def step(self, seconds: float, *, cut: bool = False) -> Passed | None:
        """Let one command pass, and wait so long for its answer. None: no command came.

        Without an answer by then, as a blocking command may be, it is not `answered`.
        """
        with self.changed:
            number = len(self.passed)
            self.let(cut=cut)
            if not self.changed.wait_for(lambda: len(self.passed) > number, seconds):
                self._permits.clear()
                return None
            passed = self.passed[number]
            self.changed.wait_for(
                lambda: passed.answered, BLOCKED if passed.command.blocks else seconds
            )
            return passed

    def open(self) -> None:
        """Let everything pass."""
        with self.changed:
            self._free = True
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Wait for something that `changed` tells of. False: it did not come in time."""
        with self.changed:
            return self.changed.wait_for(until, seconds)

    def drop(self) -> None:
        """Close all connections. What is held never reaches Redis."""
        with self.changed:
            connections = list(self._connections)
        for connection in connections:
            connection.close()

    def close(self) -> None:
        """Close all connections and take no more."""
        with suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                place = self._target.hostname or "127.0.0.1", self._target.port or 6379
                try:
                    server = socket.create_connection(place)
                except OSError:  # the process will see it as it would without us
                    client.close()
                    continue
                connection = Connection(client, server, self)
                with self.changed:
                    self._connections.add(connection)
                connection.start()

    def admit(self, command: Command, connection: Connection) -> Passed | None:
        """For a connection: wait until the command may pass. None: its answer is not recorded."""
        with self.changed:
            self.held.append(command)
            self.changed.notify_all()
            self.changed.wait_for(
                lambda: (
                    connection.closed
                    or self._free
                    or (self._permits and self.held[0] is command)  # the first comes first
                )
            )
            self.held = [other for other in self.held if other is not command]
            self.changed.notify_all()
            if connection.closed or self._free:
                return None
            passed = Passed(command, cut=self._permits.popleft())
            self.passed.append(passed)
            return passed

    def ended(self, connection: Connection) -> None:
        """For a connection, when it is closed."""
        with self.changed:
            self._connections.discard(connection)
            self.changed.notify_all()
