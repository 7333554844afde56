"""The API: its calls, and what it answers when a run blocks a start."""

import asyncio
from collections.abc import AsyncIterator
from math import ceil
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse
from kombu.exceptions import OperationalError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from redis import RedisError

from . import runs
from .api import stopping
from .api.answers import UNKNOWN, Blocked, KnownRun, Problem, RunId, problem
from .api.app import create_app
from .api.security import router_for_runs
from .broker import enqueue
from .config import get_settings
from .extras import logs
from .runs import Busy, Elsewhere, Forgot, Run

EVENT_POLL_INTERVAL = 0.25  # seconds between two looks at a run whose events are read
calls = router_for_runs()


def blocked(error: Busy | Elsewhere) -> JSONResponse:
    """The answer when another run is in progress: one at a time."""
    return JSONResponse({"detail": str(error), "running": error.running}, 409)


def _unicode(text: str) -> str:
    text.encode()  # half of a surrogate pair is valid JSON; a UnicodeEncodeError is a ValueError
    return text


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_unicode)]


class StartRequest(BaseModel):
    """What a start may ask for. Not which notebook: that is fixed at deployment."""

    model_config = ConfigDict(extra="forbid")

    requested_by: Name | None = Field(None, examples=["ada"])


@calls.post(
    "/start",
    response_model=Run,
    status_code=202,
    response_description="The run, queued; Location says where to follow it",
    responses={
        409: {"model": Blocked, "description": "Another run blocks this start"},
        400: problem("That body cannot be read at all"),
        413: {"description": "That body is too large", "content": {"text/plain": {}}},
    },
)
async def start(
    request: Request, response: Response, body: StartRequest | None = None
) -> Run | JSONResponse:
    """Start the notebook, unless it is running: a second start gets 409."""
    try:
        run = await runs.admit(body.requested_by if body else None)
    except Busy as error:
        return blocked(error)  # the commonest answer: through all of FastAPI, an exception is slow
    logs.about(run)
    try:
        await run_in_threadpool(enqueue, run.run_id)
    except OperationalError as error:
        # The message may have got through, and only the answer was late: then the run has started.
        if await _taken_back(run):
            why = "The run could not be queued; nothing was started."
            raise HTTPException(503, why, headers={"Retry-After": "1"}) from error
    root = request.scope["root_path"].rstrip("/")  # a proxy's prefix: uvicorn --root-path
    response.headers["Location"] = f"{root}/status/{run.run_id}"
    return run


async def _taken_back(run: Run) -> bool:
    """Whether a run that may be in the queue was taken back, and no worker can claim it any more.

    Raises:
        HTTPException: Redis does not say.
    """
    try:
        return await runs.withdraw(run)
    except RedisError as error:
        why = (
            "Redis has stopped answering in the middle of the start. It is not known whether run "
            f"{run.run_id} was started. GET /status/{run.run_id} will tell."
        )
        raise HTTPException(503, why, headers={"Retry-After": "1"}) from error


@calls.get("/status", responses=UNKNOWN)
async def status_of_the_latest() -> Run:
    """The newest run."""
    if run := await runs.latest():
        logs.about(run)
        return run
    raise HTTPException(404, "Nothing has been started yet: POST /start.")


@calls.get("/status/{run_id}", responses=UNKNOWN)
async def status(run: KnownRun) -> Run:
    """One run: where it stands, cells done of total, times, error."""
    return run


async def unchanged(response: Response) -> None:
    """A proxy that compresses events may keep them back. (FastAPI forbids nginx to buffer them.)"""
    response.headers["Cache-Control"] = "no-transform"


@calls.get(
    "/status/{run_id}/events",
    response_class=EventSourceResponse,
    responses=UNKNOWN,
    dependencies=[Depends(unchanged)],
)
async def events(run: KnownRun) -> AsyncIterator[Run]:
    """The run as server-sent events: whole, at once and at each change, until it ends.

    They end, too, when this API process is told to stop; another one goes on with them.

    Each event carries everything, so a client that was cut off has nothing to catch up on. And
    because they are read from Redis, any API process can serve them.
    """
    yield run
    missing_since = None
    now = asyncio.get_running_loop().time
    while run.status.active and not stopping.told():
        await asyncio.sleep(EVENT_POLL_INTERVAL)
        try:
            latest = await runs.get(run.run_id)
        except RedisError:
            continue  # it will be back, or the client will lose patience
        if latest is None:  # Redis forgot it; a live worker writes it again within its lease
            missing_since = missing_since or now()
            if now() - missing_since > get_settings().lease_seconds:
                return
            continue
        missing_since = None
        if latest != run:
            run = latest
            yield run


@calls.post(
    "/cancel",
    status_code=202,
    responses={409: {"model": Problem | Blocked, "description": "Nothing is running, or another"}},
)
async def cancel(run_id: RunId = None) -> Run:
    """Cancel the run in progress. One that no worker has claimed ends at once.

    A cell that runs is interrupted, and may take CANCEL_GRACE seconds to end.

    With `run_id`, only that run: a cancel that comes late does not end the next one.
    """
    if run := await runs.cancel(run_id):
        logs.about(run)
        return run
    raise HTTPException(409, "Nothing is running.")


@calls.get("/runs")
async def recent() -> list[Run]:
    """The last runs, newest first."""
    return await runs.recent()


app = create_app(calls)


@app.exception_handler(Elsewhere)
async def elsewhere(_: Request, error: Elsewhere) -> JSONResponse:
    """Another run than the one that is to be cancelled is in progress."""
    return blocked(error)


@app.exception_handler(Forgot)
async def forgot(_: Request, error: Forgot) -> JSONResponse:
    """Not yet: a run that Redis forgot may still be alive."""
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(ceil(error.seconds))})
