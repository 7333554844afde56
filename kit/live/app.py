"""The part of the local server that knows the learner. The built site does without it.

Only pages of this server may use it. The names in TrustedHostMiddleware keep out a page whose own
name leads to 127.0.0.1 (DNS rebinding). Any other page can neither read an answer, because none
allows its origin, nor ask for a hint.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kit.course.catalogue import Exercise
from kit.course.hints import find_task, show_hints
from kit.errors import KitError
from kit.live.state import Version, state, version

HOSTS = ["127.0.0.1", "localhost"]
POLL_INTERVAL = 0.25  # seconds between two looks at what has changed
QUIET = 15.0  # seconds after which a comment shows that the stream is alive
HERE = Path(__file__).parent
FRESH = {"Cache-Control": "no-cache"}


def learner_app(exercises: Sequence[Exercise]) -> Starlette:
    """State as JSON and as events, the next hint, and the script of the pages."""
    app = Starlette(
        routes=[
            Route("/state", _state),
            Route("/events", _events),
            Route("/hints/{task}", _hint, methods=["POST"]),
            Route("/{name}", _file),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
    )
    app.state.exercises = exercises
    return app


def _state(request: Request) -> Response:
    return JSONResponse(state(request.app.state.exercises), headers=FRESH)


def _events(request: Request) -> Response:
    changes = _changes(request.app.state.exercises)
    return StreamingResponse(changes, media_type="text/event-stream", headers=FRESH)


def _hint(request: Request) -> Response:
    """Show one hint more, as `./workshop hint N.M` does."""
    if request.headers.get("sec-fetch-site") != "same-origin":  # no page can set it
        return Response(status_code=403)
    try:
        exercise, task = find_task(request.app.state.exercises, request.path_params["task"])
    except KitError as error:
        return JSONResponse({"detail": error.message}, status_code=404)
    if task is not None:
        show_hints(exercise, task)
    return Response(status_code=204)


def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ("here.js", "here.css"):
        return Response(status_code=404)
    return FileResponse(HERE / name, headers=FRESH)


async def _changes(exercises: Sequence[Exercise]) -> AsyncIterator[str]:
    """The state now, and then each time that it has changed."""
    seen: Version | None = None
    told, silent = "", 0.0
    while True:
        now = await run_in_threadpool(version)
        if now != seen:
            data = json.dumps(await run_in_threadpool(state, exercises))
            if data != told:
                yield f"data: {data}\n\n"
                told, silent = data, 0.0
            seen = now
        await asyncio.sleep(POLL_INTERVAL)
        silent += POLL_INTERVAL
        if silent >= QUIET:
            yield ":\n\n"
            silent = 0.0
