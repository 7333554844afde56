"""Runs: what we know of each, kept in Redis, where every API process can read it."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, Field
from redis import Redis

from .tasks import REDIS_URL

redis = Redis.from_url(REDIS_URL, decode_responses=True)


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


# TODO(6.2): Celery has words of its own: PENDING, STARTED, SUCCESS, FAILURE. Make a dictionary from
#   these to ours.


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


# TODO(6.1): save(record) writes the record to Redis, as JSON, under a key with the run's id in it.
#   https://redis.io/docs/latest/commands/set/

# TODO(6.2): get(run_id) returns the run of that id, with the status that Celery's AsyncResult
#   has now. It returns None for an id that nobody saved.
#   https://docs.celeryq.dev/en/stable/reference/celery.result.html

# TODO(6.3): latest() returns the newest run or None, and recent(limit) the last ones, newest first.
#   Keys in Redis have no order, so save() should add the id to a list as well.
#   https://redis.io/docs/latest/commands/lpush/
