"""Runs: what we know of each, kept in Redis.

Their status too: Celery forgets it after a day, and never hears that a worker died.
"""

import json
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, Field

from . import lease
from .connection import redis

INDEX = "nb:runs"  # ids of all runs, newest first


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"  # its lease ran out: the worker died, or never came

    @property
    def active(self) -> bool:
        """Whether the run blocks the next one."""
        return self in (Status.QUEUED, Status.RUNNING)


class Run(BaseModel):
    """A run, as the API shows it."""

    run_id: str
    status: Status = Status.QUEUED
    requested_by: str | None = None
    queued: datetime
    cells_done: int | None = Field(None, description="null until the worker has counted them")
    cells_total: int | None = None
    error: str | None = Field(None, description="Why it failed, in a sentence")


class Output(BaseModel):
    """What a run left: its result, or why there is none."""

    run_id: str
    status: Status
    result: Any = None
    error: str | None = None
    traceback: str | None = None


class Record(Run):
    """A run, as we keep it: a hash in Redis."""

    client: str = Field(description="The client's address: it is kept, and never goes out")
    cancel_requested: bool = False
    result: str | None = None  # as JSON
    traceback: str | None = None

    @classmethod
    def new(cls, requested_by: str | None, client: str) -> Self:
        """Name a run. Nobody has heard of it until it is admitted."""
        run_id = secrets.token_hex(4)
        return cls(
            run_id=run_id, requested_by=requested_by, queued=datetime.now(UTC), client=client
        )


class Busy(Exception):
    """A start was refused: another run blocks it."""

    def __init__(self, running: str) -> None:
        self.running = running
        super().__init__(f"Run {running} blocks this start: one at a time.")


def key(run_id: str) -> str:
    """Where a run's record is kept."""
    return f"nb:run:{run_id}"


def admit(record: Record) -> None:
    """Take the lease for the run and make it known. To take a lease is one step, so no lock.

    Raises:
        Busy: another run holds the lease.
    """
    while not lease.take(record.run_id):
        if running := lease.holder():
            raise Busy(running)  # else it has ended between the two: try again
    note(record.run_id, **record.model_dump(mode="json", exclude={"cancel_requested"}))
    redis.lpush(INDEX, record.run_id)


def note(run_id: str, /, **fields: Any) -> None:
    """Write into a run's record; what is None stays as it is."""
    redis.hset(key(run_id), mapping={k: str(v) for k, v in fields.items() if v is not None})


def cancel() -> Record | None:
    """Mark the current run as cancelled. None: nothing runs.

    The mark is in the record, so it outlives API, worker and message: the worker that takes
    the run, now or later, finds it there.
    """
    current = latest()
    if current is None or not current.status.active:
        return None
    note(current.run_id, cancel_requested=1)
    return get(current.run_id)


def cancel_requested(run_id: str) -> bool:
    """Whether a client has asked for that run's end."""
    return bool(redis.hexists(key(run_id), "cancel_requested"))


def get(run_id: str) -> Record | None:
    """The run of that id. None: there never was one.

    Record and lease are read in one step; else a run that ends between the two would look lost.
    """
    with redis.pipeline() as both:
        both.hgetall(key(run_id))
        both.get(lease.LEASE)
        kept, _ = both.execute()
    if "queued" not in kept:  # Redis forgot it, and its worker does not know yet
        return None
    record = Record.model_validate(kept)
    if record.status is Status.QUEUED and record.cancel_requested:
        record.status = Status.CANCELLED
    # TODO(12.1): a run that is active while the lease is not its own is LOST.
    #   Say so here, where the run is read: its worker is dead, and cannot. Say why in `error`, in a
    #   sentence. (The second answer of `both` is the holder of the lease.)
    return record


def output(record: Record) -> Output:
    """What the run left."""
    result = json.loads(record.result) if record.result else None
    return Output(
        **record.model_dump(include={"run_id", "status", "error", "traceback"}), result=result
    )


def latest() -> Record | None:
    """The newest run. None: there never was one."""
    newest = redis.lindex(INDEX, 0)
    return get(str(newest)) if newest else None


def recent(limit: int) -> list[Record]:
    """The last runs, newest first."""
    ids = redis.lrange(INDEX, 0, limit - 1)
    return [record for run_id in ids if (record := get(str(run_id)))]
