"""The app: puts the calls together, and says what errors mean."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import ceil
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from redis import RedisError

from . import api, health, logs, notebook, output, process_tree, redis_words
from .config import settings
from .connection import about, redis, runs
from .names import Names
from .notify import Notifier
from .runs import Busy, Elsewhere, Grace

log = logging.getLogger("uvicorn.error")
logs.set_up(settings().log_format, *map(logging.getLogger, ("", "uvicorn", "uvicorn.access")))
PAGE = Path(__file__).with_name("page")
PAGE_RULES = "default-src 'self'; img-src 'self' data:; frame-src 'self' blob:; base-uri 'none'"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Before the first request: look at Redis and the notebook. Only a Redis Cluster is fatal."""
    process_tree.conceal()
    try:
        info = await about()
        if unfit := redis_words.unfit(info):
            log.critical("%s", unfit)
            signal.raise_signal(signal.SIGTERM)  # uvicorn ends, without a traceback
        if remark := redis_words.remark(info):
            log.warning("%s", remark)
        await runs.look()
    except RedisError as error:
        log.error("%s", redis_words.of_error(error) or error)
    try:
        notebook.read(settings().notebook_path)
    except notebook.Unusable as unusable:
        log.error("%s", unusable)
    watches = [asyncio.create_task(runs.watch())]
    if urls := settings().notify_urls:
        notifier = Notifier(redis, Names(settings().namespace), runs, urls.get_secret_value())
        with suppress(RedisError):  # the notifier tries again
            await notifier.begin()
        watches.append(asyncio.create_task(notifier.watch()))
    gc.freeze()  # what is loaded stays: to look through it all is a pause of a tenth of a second
    yield
    for watch in watches:
        watch.cancel()
    await redis.aclose()


app = FastAPIOffline(
    title="Notebook runner",
    description="Starts a notebook by an API call, and never twice at once.",
    version="1.0.0",
    lifespan=lifespan,
    max_body_size=10_000,  # bytes; the one body there is has a name in it
)
app.include_router(api.router, tags=["runs"])
app.include_router(output.router, tags=["runs"])
app.include_router(health.router, tags=["health"])
app.mount("/page", StaticFiles(directory=PAGE), name="page")


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page for people."""
    return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": PAGE_RULES})


@app.exception_handler(RequestValidationError)
async def makes_no_sense(_: Request, error: RequestValidationError) -> JSONResponse:
    """What is wrong with the request, without the request: it may not even be Unicode."""
    told = [{key: each[key] for key in ("loc", "msg", "type")} for each in error.errors()]
    return JSONResponse({"detail": told}, 422)


@app.exception_handler(Busy)
@app.exception_handler(Elsewhere)
async def busy(_: Request, error: Busy | Elsewhere) -> JSONResponse:
    """Another run than the one that is asked for is in progress: one at a time."""
    return JSONResponse({"detail": str(error), "running": error.running}, 409)


@app.exception_handler(Grace)
async def grace(_: Request, error: Grace) -> JSONResponse:
    """Not yet: a run that Redis forgot may still be alive."""
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(ceil(error.seconds))})


@app.exception_handler(RedisError)
async def redis_says_no(_: Request, error: RedisError) -> JSONResponse:
    """Without Redis the API cannot know what is running, so it starts nothing."""
    why = redis_words.of_error(error)
    if why is None:
        raise error
    return JSONResponse({"detail": why}, 503, {"Retry-After": "1"})
