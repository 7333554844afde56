"""The API of the notebook runner."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field

from . import runs
from .runs import Record, Run
from .tasks import run_notebook

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


@app.get("/ping", response_description="The API is alive")
async def ping() -> str:
    """Say that the API is alive."""
    return "pong"


@app.post("/start", status_code=202, response_model=Run)
def start(request: Request, body: StartRequest | None = None) -> Record:
    """Start a run: a worker will take it."""
    # TODO(7.1): a start is refused while another run is queued or running. Let `runs` admit the
    #   record instead of saving it, and say in the docstring what a second start gets.
    body = body or StartRequest()
    record = Record.new(body.requested_by, request.client.host if request.client else "")
    # Known first, queued second. When the API dies between the two, a run lacks its message, and
    # people can see it. The other way round, a worker could run what has no record.
    runs.save(record)
    run_notebook.apply_async((body.seconds, body.rows), task_id=record.run_id)
    return record


# TODO(7.1): a start that is refused gets 409 and two fields: `detail`, a sentence, and `running`,
#   the id of the active run. HTTPException has `detail` only. An exception of your own and a
#   handler for it can have both. https://fastapi.tiangolo.com/tutorial/handling-errors/


@app.get("/status", response_model=Run)
def status_of_the_latest() -> Record:
    """The newest run."""
    if record := runs.latest():
        return record
    raise HTTPException(404, "Nothing has been started yet: POST /start.")


@app.get("/status/{run_id}", response_model=Run)
def status(run_id: Annotated[str, Path(max_length=40)]) -> Record:
    """One run."""
    if record := runs.get(run_id):
        return record
    raise HTTPException(404, f"No run {run_id!r} is known.")


@app.get("/runs", response_model=list[Run])
def recent(limit: Annotated[int, Query(ge=1, le=100)] = 10) -> list[Record]:
    """The last runs, newest first."""
    return runs.recent(limit)
