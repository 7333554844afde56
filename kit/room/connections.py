"""Limits of connections, so that one machine that opens many keeps nobody else out."""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 4000  # of all attendees; uv opens up to 50 while it installs
MOST_OF_ONE = 400  # of one address, behind which several attendees may be
PATIENCE = 20.0  # seconds in which a request, or the rest of it, has to come
OTHER_FILES = 100  # that the room has open


class GuardedConnection(HttpToolsProtocol):
    """A connection that is closed when its address has too many, or when no request comes."""

    _seen: object = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count those of the same address, and begin to look at this one."""
        super().connection_made(transport)
        if sum(_address(each) == _address(self) for each in self.connections) > MOST_OF_ONE:
            transport.abort()
        else:
            self._look()

    def _look(self) -> None:
        """Close it when it waits for the same request, or the same body, as at the last look."""
        if self.transport.is_closing():
            return
        request = self.cycle
        waits = request is None or request.response_complete or request.more_body
        if waits and request is self._seen:
            self.transport.abort()
            return
        self._seen = request
        self.loop.call_later(PATIENCE, self._look)


def allow_files() -> None:
    """Let this process have a file for each connection. macOS allows it 256, until it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _address(connection: object) -> str:
    client = connection.client if isinstance(connection, GuardedConnection) else None
    return client[0] if client else ""
