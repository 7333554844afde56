"""The app around the calls: what happens at its start, its page, and what Redis's errors mean."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from redis import RedisError
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from .. import runs
from ..config import get_settings
from ..connection import api_redis
from ..extras import logs, redis_words
from ..extras.notify import Notifier
from ..names import names
from ..notebook import document, process_tree
from . import demo, health, output, stopping

log = logging.getLogger("uvicorn.error")
PAGE = Path(__file__).parents[1] / "page"
PAGE_RULES = "default-src 'self'; img-src 'self' data:; frame-src 'self' blob:; base-uri 'none'"


def create_app(calls: APIRouter) -> FastAPI:
    """The API with these calls, and with those for output and health."""
    logs.set_up(
        get_settings().log_format, *map(logging.getLogger, ("", "uvicorn", "uvicorn.access"))
    )
    demos = [demo.router] if get_settings().demo_mode else []
    app = FastAPIOffline(
        title="Notebook runner",
        description="Starts a notebook by an API call, and never twice at once.",
        version="1.0.0",
        lifespan=lifespan,
        # Bytes; the one body there is has a name in it. FastAPI's own limit looks three times.
        middleware=[Middleware(RequestBodyLimitMiddleware, max_body_size=10_000)],
        # The calls first, and not included: then each request is matched once.
        routes=[route for router in (calls, output.router, *demos) for route in router.routes],
    )
    app.include_router(health.router, tags=["health"])
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.add_api_route("/", page, include_in_schema=False)
    app.exception_handler(RequestValidationError)(makes_no_sense)
    app.exception_handler(RedisError)(redis_says_no)
    return app


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Before the first request: look at Redis and the notebook. Only a Redis Cluster is fatal."""
    process_tree.conceal()
    urls = get_settings().notify_urls
    try:
        info = await redis_words.about(api_redis())
        if unfit := redis_words.unfit(info):
            log.critical("%s", unfit)
            signal.raise_signal(signal.SIGTERM)  # uvicorn ends, without a traceback
        if remark := redis_words.remark(info):
            log.warning("%s", remark)
        await runs.look()
        if not urls:  # what ends from now on is no news for whoever is to be told later
            await api_redis().delete(names().tells)
    except RedisError as error:
        log.error("%s", redis_words.of_error(error) or error)
    try:
        document.read(get_settings().notebook_path)
    except document.Unusable as unusable:
        log.error("%s", unusable)
    watches = [asyncio.create_task(runs.watch())]
    if urls:
        notifier = Notifier(urls.get_secret_value())
        with suppress(RedisError):  # the notifier tries again
            await notifier.begin()
        watches.append(asyncio.create_task(notifier.watch()))
    stopping.listen()
    gc.freeze()  # what is loaded stays: to look through it all is a pause of a tenth of a second
    yield
    for watch in watches:
        watch.cancel()
    await api_redis().aclose()


def page() -> HTMLResponse:
    """The page for people; in demo mode, with what a demonstration shows."""
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    more = (PAGE / "demo.html").read_text(encoding="utf-8") if get_settings().demo_mode else ""
    html = html.replace("<!-- demo -->\n", more)
    return HTMLResponse(html, headers={"Content-Security-Policy": PAGE_RULES})


async def makes_no_sense(_: Request, error: RequestValidationError) -> JSONResponse:
    """What is wrong with the request, without the request: it may not even be Unicode."""
    told = [{key: each[key] for key in ("loc", "msg", "type")} for each in error.errors()]
    return JSONResponse({"detail": told}, 422)


async def redis_says_no(_: Request, error: RedisError) -> JSONResponse:
    """Without Redis the API cannot know what is running, so it starts nothing."""
    why = redis_words.of_error(error)
    if why is None:
        raise error
    return JSONResponse({"detail": why}, 503, {"Retry-After": "1"})
