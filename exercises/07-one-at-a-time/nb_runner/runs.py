"""Runs: what we know of each, kept in Redis, where every API process can read it."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from celery.result import AsyncResult
from pydantic import BaseModel, Field
from redis import Redis

from .tasks import REDIS_URL, app

redis = Redis.from_url(REDIS_URL, decode_responses=True)
INDEX = "nb:runs"  # ids of all runs, newest first


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    # TODO(7.1): a property `active` that says whether such a run blocks the next start. A run that
    #   waits for a worker does.


# Celery's words for it. PENDING only means that Celery has nothing to say about that id.
STATUSES = {
    "PENDING": Status.QUEUED,
    "STARTED": Status.RUNNING,
    "SUCCESS": Status.SUCCEEDED,
    "FAILURE": Status.FAILED,
}


class Run(BaseModel):
    """A run, as the API shows it."""

    run_id: str
    status: Status = Status.QUEUED
    requested_by: str | None
    queued: datetime


class Record(Run):
    """A run, as we keep it."""

    client: str = Field(description="The client's address: it is kept, and never goes out")

    @classmethod
    def new(cls, requested_by: str | None, client: str) -> Self:
        """Name a run. Nobody has heard of it until it is saved."""
        run_id = secrets.token_hex(4)
        return cls(
            run_id=run_id, requested_by=requested_by, queued=datetime.now(UTC), client=client
        )


# TODO(7.1): `admit(record)` saves the record, unless the newest run is still active. Then it raises
#   an exception that names that run.

# TODO(7.2): two starts that look at the same moment both see no active run, and both write. Put a
#   Redis lock around the look and the write, in `admit`. When a start is answered, its lock is
#   released. https://redis.readthedocs.io/en/stable/lock.html

# TODO(7.3): a lock stays shut when its holder has died. Give it a timeout after which it opens by
#   itself, and another timeout for those that wait for it.


def save(record: Record) -> None:
    """Make the run known, as the newest."""
    redis.set(f"nb:run:{record.run_id}", record.model_dump_json())
    redis.lpush(INDEX, record.run_id)


def get(run_id: str) -> Record | None:
    """The run of that id, its status by what Celery knows now. None: there never was one."""
    kept = redis.get(f"nb:run:{run_id}")
    if kept is None:
        return None
    record = Record.model_validate_json(str(kept))
    record.status = STATUSES[AsyncResult(run_id, app=app).state]
    return record


def latest() -> Record | None:
    """The newest run. None: there never was one."""
    newest = redis.lindex(INDEX, 0)
    return get(str(newest)) if newest else None


def recent(limit: int) -> list[Record]:
    """The last runs, newest first."""
    ids = redis.lrange(INDEX, 0, limit - 1)
    return [record for run_id in ids if (record := get(str(run_id)))]
