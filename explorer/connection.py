"""One connection through a gate: it reads both directions, and asks the gate about each command."""

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from explorer.commands import STREAMING, Command
from explorer.resp import ErrorReply, ProtocolError, Replies, Request, Requests, Value

SIZE = 65536  # bytes that are read at once
CLOSED = ErrorReply("the connection was closed before the answer")


@dataclass
class Passed:
    """A command that counts and has passed. `answered` is set when its reply has arrived."""

    command: Command
    cut: bool = False
    answered: bool = False
    reply: Value = None


class CommandGate(Protocol):
    """What a connection needs of its gate."""

    changed: threading.Condition
    counts: Callable[[Command], bool]

    def admit(self, command: Command, connection: "Connection") -> Passed | None: ...

    def ended(self, connection: "Connection") -> None: ...


class Connection:
    """One connection of the process, with one thread for each direction."""

    def __init__(self, client: socket.socket, server: socket.socket, gate: CommandGate) -> None:
        self.gate, self.client, self.server = gate, client, server
        self.closed = False
        self._streams = False  # what Redis sends is passed on as it is
        self._queued: list[Command] | None = None  # what a transaction has so far
        self._expected: deque[Passed | None] = deque()  # one for each reply that is to come
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Begin to pass on."""
        for way in (self._up, self._down):
            threading.Thread(target=self._guarded, args=(way,), daemon=True).start()

    def close(self) -> None:
        """End it for both sides; what has no answer yet gets none."""
        with self.gate.changed:
            first, self.closed = not self.closed, True
            waiting, self._expected = list(self._expected), deque()
        for end in (self.client, self.server):
            with suppress(OSError):  # wakes the thread that reads there
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for passed in waiting:
            if passed is not None:
                self._answer(passed, CLOSED)
        if first:  # each of the two threads comes here
            self.gate.ended(self)

    def _guarded(self, way: Callable[[], None]) -> None:
        with suppress(OSError):
            way()
        self.close()

    def _up(self) -> None:
        requests = Requests()
        while data := self.client.recv(SIZE):
            try:
                for request in requests.feed(data):
                    self._ask(request)
            except ProtocolError:  # Redis will say so
                self._streams = True
                self.server.sendall(requests.rest())

    def _ask(self, request: Request) -> None:
        command = self._understood(request)
        if self._streams:
            self.server.sendall(request.raw)
            return
        counts = command is not None and self.gate.counts(command)
        passed = self.gate.admit(command, self) if command is not None and counts else None
        with self.gate.changed:
            if self.closed:
                return
            if request.words:  # an empty line gets no reply
                self._expected.append(passed)
        self.server.sendall(request.raw)

    def _understood(self, request: Request) -> Command | None:
        """The command, a whole transaction at its EXEC. None: part of one."""
        command = Command.of(request.words)
        if command.name in STREAMING:
            self._streams = True
        if self._queued is None:
            if command.name == "MULTI":
                self._queued = []
            return command
        if command.name not in ("EXEC", "DISCARD"):
            self._queued.append(command)
            return None
        parts, self._queued = tuple(self._queued), None
        return Command.of(request.words, parts) if command.name == "EXEC" else None

    def _down(self) -> None:
        replies = Replies()
        while data := self.server.recv(SIZE):
            if self._streams and not self._expected:
                self.client.sendall(replies.rest() + data)
                continue
            for reply in replies.feed(data):
                passed = None
                if not reply.push:
                    with self.gate.changed:
                        passed = self._expected.popleft() if self._expected else None
                if passed is None or not passed.cut:
                    self.client.sendall(reply.raw)
                else:
                    self.close()
                if passed is not None:
                    self._answer(passed, reply.value)

    def _answer(self, passed: Passed, reply: Value) -> None:
        with self.gate.changed:
            passed.reply, passed.answered = reply, True
            self.gate.changed.notify_all()
