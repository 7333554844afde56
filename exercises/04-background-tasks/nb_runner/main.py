"""The API of the notebook runner."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field

app = FastAPI(
    title="Notebook runner",
    description="Starts a notebook by an API call, and never twice at once.",
    version="0.1.0",
)


class StartRequest(BaseModel):
    """What a start may ask for. The job itself is a stand-in until exercise 10."""

    requested_by: str | None = Field(None, min_length=1, max_length=100, examples=["ada"])
    seconds: float = Field(1, ge=0, le=600, description="How long the job takes")
    rows: int = Field(100, ge=0, le=1_000_000, description="How many rows it works through")


# TODO(4.1): a run has a status now: QUEUED, RUNNING or SUCCEEDED. Make an enumeration of these
#   words (StrEnum), and give Run a field `status` that begins with QUEUED.
class Run(BaseModel):
    """A run, as the API shows it."""

    run_id: str
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


# TODO(4.1): a function `work` that does the job of one record: it marks the record RUNNING, sleeps
#   for the seconds of the request, and marks the record SUCCEEDED. A plain `def`: the chapter says
#   why.


# TODO(4.2): a function `busy` that says whether a run is queued or running.


@app.post("/start", status_code=202, response_model=Run)
async def start(request: Request, body: StartRequest | None = None) -> Record:
    """Ask for a run."""
    # TODO(4.2): when a run is queued or running, refuse with 409 and a sentence. No other start may
    #   be handled between this look and the new entry in `records`: no `await` there.
    body = body or StartRequest()
    record = Record(
        run_id=secrets.token_hex(4),
        requested_by=body.requested_by,
        queued=datetime.now(UTC),
        client=request.client.host if request.client else "",
    )
    records[record.run_id] = record
    # TODO(4.1): have `work` called after the answer. FastAPI passes a BackgroundTasks to a function
    #   that has a parameter of this type.
    #   https://fastapi.tiangolo.com/tutorial/background-tasks/
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
