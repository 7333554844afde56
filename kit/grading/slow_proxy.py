"""A proxy before Redis that delays messages, so that a race condition shows for certain.

A process that reads first and writes second has a race condition: another process may read in
between. `hold` keeps back the requests of several processes, and `release` passes all of them on at
the same moment. `delay` makes each later message late, so that the processes stay in step.
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
        self.held = 0  # how many messages were kept back since the last `hold`
        self._target = urlsplit(url)
        self._listener = free_socket()
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the proxy: the URL of the target, with the proxy's host and port."""
        user, at, _ = self._target.netloc.rpartition("@")
        port = self._listener.getsockname()[1]
        return self._target._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()

    def hold(self) -> None:
        """Keep back every message that a client sends from now on."""
        self.held = 0
        self._open.clear()

    def release(self) -> None:
        """Pass on all messages that were kept back, at the same moment."""
        self._open.set()

    def close(self) -> None:
        """Accept no more connections, and pass on the messages that were kept back."""
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
                for source, sink, from_client in ways:
                    threading.Thread(
                        target=self._pass, args=(source, sink, from_client), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if from_client and not self._open.is_set():
                    self.held += 1
                    self._open.wait()
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):  # the thread of the other direction ends, too
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
