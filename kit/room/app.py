"""The room as one application."""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from kit.room.attendees import attendees_api
from kit.room.limits import BoundedBodies
from kit.room.store import Store


def room_app(store: Store, pages: Mapping[str, ASGIApp] | None = None) -> FastAPI:
    """All that the room answers. `pages`: what it serves besides, by path."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, middleware=[Middleware(BoundedBodies)]
    )
    app.include_router(attendees_api(store))
    for path, page in (pages or {}).items():
        app.mount(path, page)
    return app
