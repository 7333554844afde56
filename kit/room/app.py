"""The room as one application."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from kit.course.catalogue import Exercise
from kit.room.attendees import attendees_api
from kit.room.board.api import board_api
from kit.room.board.schedule import Schedule
from kit.room.security import BoundedBodies
from kit.room.store import Store


def room_app(
    store: Store,
    course: Sequence[Exercise],
    plan: Schedule,
    address: str,
    pages: Sequence[BaseRoute] = (),
) -> FastAPI:
    """All that the room answers. `pages`: what it serves besides."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, middleware=[Middleware(BoundedBodies)]
    )
    app.exception_handler(RequestValidationError)(_refused)
    app.include_router(attendees_api(store, plan.after))
    app.include_router(board_api(store, course, plan, address))
    app.router.routes.extend(pages)
    return app


def _refused(request: Request, error: Exception) -> Response:
    """FastAPI's own answer has all that was sent in it, and some of that cannot be written."""
    return JSONResponse({"detail": "this is not what the room understands"}, status_code=422)
