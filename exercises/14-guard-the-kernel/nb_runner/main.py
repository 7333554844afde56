"""The API of the notebook runner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field

from . import executor, health, runs
from .config import get_settings
from .connection import get_redis
from .runs import Busy, Output, Record, Run
from .tasks import run_notebook

# A wrong setting ends the API here, with a sentence. In the lifespan it would be a traceback.
get_settings()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """From before the first request to after the last one: then the connection ends, too."""
    yield
    get_redis().close()


app = FastAPI(
    title="Notebook runner",
    description="Starts a notebook by an API call, and never twice at once.",
    version="0.1.0",
    lifespan=lifespan,
)
app.include_router(health.router)


class StartRequest(BaseModel):
    """What a start may ask for. Not which notebook: that is fixed at deployment."""

    requested_by: str | None = Field(None, min_length=1, max_length=100, examples=["ada"])


@app.get("/ping", response_description="The API is alive")
async def ping() -> str:
    """Say that the API is alive."""
    return "pong"


@app.post("/start", status_code=202, response_model=Run)
def start(request: Request, body: StartRequest | None = None) -> Record:
    """Start a run, unless one is going: a second start gets 409."""
    body = body or StartRequest()
    record = Record.new(body.requested_by, request.client.host if request.client else "")
    # Should we die between the two, the lease runs out, and the run reads LOST.
    runs.admit(record)
    run_notebook.apply_async(task_id=record.run_id, expires=get_settings().lease_seconds)
    return record


@app.exception_handler(Busy)
async def busy(_: Request, error: Busy) -> JSONResponse:
    """One at a time."""
    return JSONResponse({"detail": str(error), "running": error.running}, 409)


@app.post("/cancel", status_code=202, response_model=Run)
def cancel() -> Record:
    """Cancel the run in progress. It ends a moment later: see its status."""
    if record := runs.cancel():
        return record
    raise HTTPException(409, "Nothing is running.")


@app.get("/status", response_model=Run)
def status_of_the_latest() -> Record:
    """The newest run."""
    if record := runs.latest():
        return record
    raise HTTPException(404, "Nothing has been started yet: POST /start.")


def known_run(run_id: Annotated[str, Path(max_length=40)]) -> Record:
    """The run in the path, or 404."""
    if record := runs.get(run_id):
        return record
    raise HTTPException(404, f"No run {run_id!r} is known.")


KnownRun = Annotated[Record, Depends(known_run)]


@app.get("/status/{run_id}", response_model=Run)
def status(run: KnownRun) -> Record:
    """One run."""
    return run


@app.get("/status/{run_id}/events", response_class=EventSourceResponse)
async def events(run: KnownRun) -> AsyncIterator[Run]:
    """The run as server-sent events: at once, at each change, and for the last time at its end."""
    shown = None
    while True:
        record = await run_in_threadpool(runs.get, run.run_id)
        if record is None:
            return
        if record != shown:
            shown = record
            yield Run.model_validate(record.model_dump())
        if not record.status.active:
            return
        await asyncio.sleep(0.25)


@app.get("/runs", response_model=list[Run])
def recent(limit: Annotated[int, Query(ge=1, le=100)] = 10) -> list[Record]:
    """The last runs, newest first."""
    return runs.recent(limit)


@app.get("/output/{run_id}", response_model=Output)
def output(run: KnownRun, format: Literal["json", "ipynb"] = "json") -> Output | FileResponse:
    """The result of a run, or the traceback of one that failed; or its executed notebook."""
    if run.status.active:
        raise HTTPException(409, f"Run {run.run_id} is {run.status}: its output comes at its end.")
    if format == "json":
        return runs.output(run)
    path = executor.artifact(get_settings(), run.run_id)
    if not path.exists():
        raise HTTPException(404, f"Run {run.run_id} left no notebook: it is {run.status}.")
    return FileResponse(path, media_type="application/x-ipynb+json", filename=path.name)
