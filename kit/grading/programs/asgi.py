"""One POST to the project's app, in this process and without a server."""

import asyncio
import contextlib
import importlib
import json
from collections.abc import AsyncIterator
from typing import Any

MAIN = "nb_runner.main"


def app() -> Any:
    """The project's ASGI app."""
    return importlib.import_module(MAIN).app


@contextlib.asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """The app is started meanwhile, as a server would do it before the first request."""
    router = getattr(app, "router", None)
    if router is None:
        yield
        return
    async with router.lifespan_context(app):
        yield


class Post:
    """A POST with a JSON body, and the status of its answer, once that is on its way."""

    def __init__(self, path: str, body: Any, client: str = "127.0.0.1") -> None:
        self.status: int | None = None
        self._path = path
        self._client = client
        self._body = [json.dumps(body).encode()]

    async def send(self, app: Any) -> None:
        """Have the app handle it, with all that it does after the answer."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json")],
            "client": (self._client, 50000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        await app(scope, self._receive, self.answer)

    async def _receive(self) -> dict[str, Any]:
        while not self._body:  # the client stays, and sends nothing more
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": self._body.pop()}

    async def answer(self, message: dict[str, Any]) -> None:
        """Take a part of the answer from the app."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await asyncio.sleep(0)  # a server may wait here until the client has read
