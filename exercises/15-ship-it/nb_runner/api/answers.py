"""What the calls have in common: the run in the path, and what answers look like."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query
from pydantic import BaseModel, Field

from .. import runs
from ..extras import logs
from ..runs import Run

Answers = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """What went wrong, in a sentence."""

    detail: str


class Blocked(Problem):
    """Why a start was refused, and by which run."""

    running: str = Field(description="Id of the run that blocks the start")


def problem(description: str) -> dict[str, Any]:
    """An answer for the OpenAPI document: JSON, also where the good answer is something else."""
    schema = Problem.model_json_schema()
    return {"description": description, "content": {"application/json": {"schema": schema}}}


ALL: Answers = {
    401: problem("API key missing or wrong"),
    503: problem("Redis is away; see Retry-After"),
}
UNKNOWN: Answers = {404: problem("Nobody started such a run")}


async def known_run(run_id: str) -> Run:
    """The run in the path, or 404. (Celery would say PENDING of an id that never was.)"""
    if run := await runs.get(run_id):
        logs.about(run)
        return run
    raise HTTPException(404, f"No run {run_id[:40]!r} is known. GET /runs lists the last ones.")


KnownRun = Annotated[Run, Depends(known_run)]

RunId = Annotated[
    str | None,
    Query(min_length=1, max_length=100, description="The run that is meant; else whichever runs"),
]
