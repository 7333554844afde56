"""A proxy before Redis that makes the way there longer, so that a race is lost for certain.

Whoever looks first and writes second needs luck only as long as nobody looks in between. `hold`
keeps back what several processes ask; `release` lets all of it go at the same moment; `delay` keeps
them abreast on what follows.
"""

import socket
import threading
import time
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from kit.processes.ports import free_socket


class SlowProxy:
    """Passes bytes to the Redis of `url`, each message `delay` seconds late."""

    def __init__(self, url: str) -> None:
        self.delay = 0.0
        self.held = 0  # messages that have been kept back since the last `hold`
        self._target = urlsplit(url)
        self._listener = free_socket()
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens, as a Redis URL with all the rest of the target's."""
        user, at, _ = self._target.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        return self._target._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()

    def hold(self) -> None:
        """Keep back what clients send from now on."""
        self.held = 0
        self._open.clear()

    def release(self) -> None:
        """Let it go, all at once."""
        self._open.set()

    def close(self) -> None:
        """Take no more connections, and end what is kept back."""
        self.release()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                host, port = self._target.hostname or "127.0.0.1", self._target.port or 6379
                try:
                    server = socket.create_connection((host, port))
                except OSError:
                    client.close()
                    continue
                for connection in (client, server):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ways = ((client, server, True), (server, client, False))
                for source, sink, asks in ways:
                    threading.Thread(
                        target=self._pass, args=(source, sink, asks), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and not self._open.is_set():
                    self.held += 1
                    self._open.wait()
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):  # wakes the thread of the other direction, too
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
