"""The API of the notebook runner."""

import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field

app = FastAPI(
    title="Notebook runner",
    description="Starts a notebook by an API call, and never twice at once.",
    version="0.1.0",
)


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"


class StartRequest(BaseModel):
    """What a start may ask for. The job itself is a stand-in until exercise 10."""

    requested_by: str | None = Field(None, min_length=1, max_length=100, examples=["ada"])
    seconds: float = Field(1, ge=0, le=600, description="How long the job takes")
    rows: int = Field(100, ge=0, le=1_000_000, description="How many rows it works through")


class Run(BaseModel):
    """A run, as the API shows it."""

    run_id: str
    status: Status = Status.QUEUED
    requested_by: str | None
    queued: datetime


class Record(Run):
    """A run, as we keep it."""

    client: str = Field(description="The client's address: it is kept, and never goes out")


records: dict[str, Record] = {}


@app.get("/ping", response_description="The API is alive")
async def ping() -> str:
    """Say that the API is alive."""
    return "pong"


def work(record: Record, seconds: float) -> None:
    """Do the job. Not `async`, so FastAPI runs it in a thread and goes on answering."""
    record.status = Status.RUNNING
    time.sleep(seconds)
    record.status = Status.SUCCEEDED


def busy() -> bool:
    """Whether a run is queued or running."""
    return any(record.status != Status.SUCCEEDED for record in records.values())


@app.post("/start", status_code=202, response_model=Run)
async def start(
    request: Request, background: BackgroundTasks, body: StartRequest | None = None
) -> Record:
    """Start a run, unless one is going."""
    if busy():
        raise HTTPException(409, "A run blocks this start: one at a time.")
    body = body or StartRequest()
    record = Record(
        run_id=secrets.token_hex(4),
        requested_by=body.requested_by,
        queued=datetime.now(UTC),
        client=request.client.host if request.client else "",
    )
    records[record.run_id] = record
    background.add_task(work, record, body.seconds)
    return record


@app.get("/status/{run_id}", response_model=Run)
async def status(run_id: Annotated[str, Path(max_length=40)]) -> Record:
    """One run."""
    if run_id not in records:
        raise HTTPException(404, f"No run {run_id!r} is known.")
    return records[run_id]


@app.get("/runs", response_model=list[Run])
async def recent(limit: Annotated[int, Query(ge=1, le=100)] = 10) -> list[Record]:
    """The last runs, newest first."""
    return list(reversed(records.values()))[:limit]
