"""The process of the room: one server, on the address that was named."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from kit.room.connections import MOST, GuardedConnection, allow_files


@contextlib.contextmanager
def serving_room(app: ASGIApp, sock: socket.socket) -> Iterator[None]:
    """Serve on a listening socket, from a thread, until the end of the block."""
    allow_files()
    config = uvicorn.Config(
        app,
        http=GuardedConnection,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
