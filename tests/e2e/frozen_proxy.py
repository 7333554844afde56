"""A proxy in front of Redis that stands still at a chosen moment, so that a test can act in it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kit.processes.ports import free_socket


class FrozenProxy:
    """Passes bytes on until a message contains `word`. That one and all later ones never arrive.

    With `answers_only` they do arrive, and what never arrives are the answers. With
    `one_connection`, only that connection stands still.
    """

    def __init__(
        self,
        listener: socket.socket,
        target: int,
        word: bytes,
        *,
        answers_only: bool = False,
        one_connection: bool = False,
    ) -> None:
        self.port: int = listener.getsockname()[1]
        self.frozen = threading.Event()
        self._listener = listener
        self._target = target
        self._word = word
        self._answers_only = answers_only
        self._one_connection = one_connection
        self._sockets: list[socket.socket] = []
        self._forgotten: set[socket.socket] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def forget(self) -> None:
        """Pass nothing any more on the connections that there are, and close none of them."""
        self._forgotten.update(self._sockets)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                for source, sink, stops in (
                    (client, server, not self._answers_only),
                    (server, client, True),
                ):
                    one_way = (source, sink, stops)
                    threading.Thread(target=self._pass, args=one_way, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, stops: bool) -> None:
        with suppress(OSError), source, sink:
            while data := source.recv(65536):
                here = self._word in data
                if here:
                    self.frozen.set()
                frozen = here if self._one_connection else self.frozen.is_set()
                if source in self._forgotten or (stops and frozen):
                    threading.Event().wait()  # for ever; the thread is a daemon
                sink.sendall(data)


@contextmanager
def freeze_at(
    word: bytes, port: int, *, answers_only: bool = False, one_connection: bool = False
) -> Iterator[FrozenProxy]:
    """A proxy to 127.0.0.1:`port` that stands still at `word`."""
    with free_socket() as listener:
        yield FrozenProxy(
            listener, port, word, answers_only=answers_only, one_connection=one_connection
        )
