"""Runs: what we know of each, kept in Redis, where every API process can read it."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from celery.result import AsyncResult
from pydantic import BaseModel, Field
from redis import Redis

from .tasks import REDIS_URL, app

# TODO(10.1): the URL is in `settings` now.
redis = Redis.from_url(REDIS_URL, decode_responses=True)
INDEX = "nb:runs"  # ids of all runs, newest first
LOCK = "nb:lock"


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def active(self) -> bool:
        """Whether the run blocks the next one."""
        return self in (Status.QUEUED, Status.RUNNING)


# Celery's words for it. PENDING only means that Celery has nothing to say about that id.
STATUSES = {
    "PENDING": Status.QUEUED,
    "STARTED": Status.RUNNING,
    "SUCCESS": Status.SUCCEEDED,
    "FAILURE": Status.FAILED,
    "REVOKED": Status.CANCELLED,
}


class Run(BaseModel):
    """A run, as the API shows it."""

    run_id: str
    status: Status = Status.QUEUED
    requested_by: str | None
    queued: datetime
    error: str | None = Field(None, description="Why it failed, in a sentence")


class Output(BaseModel):
    """What a run left: its result, or why there is none."""

    run_id: str
    status: Status
    result: Any = None
    error: str | None = None
    traceback: str | None = None


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


class Busy(Exception):
    """A start was refused: another run blocks it."""

    def __init__(self, running: str) -> None:
        self.running = running
        super().__init__(f"Run {running} blocks this start: one at a time.")


def admit(record: Record) -> None:
    """Make the run the current one, unless another is.

    Looking and writing are two steps, so they need a lock around them: or two who look at the same
    time would both see no active run. It is held for these two steps only, and by the API
    only. When its holder dies in between, its timeout opens it.

    Raises:
        Busy: another run is queued or running.
        redis.exceptions.LockError: the lock was not to be had in time.
    """
    with redis.lock(LOCK, timeout=10, blocking_timeout=10):
        current = latest()
        if current and current.status.active:
            raise Busy(current.run_id)
        save(record)


def save(record: Record) -> None:
    """Make the run known, as the newest."""
    redis.set(f"nb:run:{record.run_id}", record.model_dump_json())
    redis.lpush(INDEX, record.run_id)


def cancel() -> Record | None:
    """Stop the current run: the message, or the process that works on it. None: nothing runs.

    SIGKILL, because the task may be deep in C code, where Python handles no other signal.
    """
    current = latest()
    if current is None or not current.status.active:
        return None
    app.control.revoke(current.run_id, terminate=True, signal="SIGKILL")
    return current


def get(run_id: str) -> Record | None:
    """The run of that id, its status by what Celery knows now. None: there never was one."""
    kept = redis.get(f"nb:run:{run_id}")
    if kept is None:
        return None
    record = Record.model_validate_json(str(kept))
    result: AsyncResult[Any] = AsyncResult(run_id, app=app)
    record.status = STATUSES[result.state]
    if record.status is Status.FAILED:
        record.error = readable(result.result)
    return record


def output(record: Record) -> Output:
    """What the run left. Celery keeps an exception as the result of a task that raised it."""
    out = Output(run_id=record.run_id, status=record.status, error=record.error)
    result: AsyncResult[Any] = AsyncResult(record.run_id, app=app)
    if record.status is Status.SUCCEEDED:
        out.result = result.result
    elif record.status is Status.FAILED:
        out.traceback = str(result.traceback)
        # TODO(10.2): a NotebookFailed carries what the notebook had printed. Make that the
        #   result.
    return out


def readable(error: Any) -> str:
    """An exception as people say it: its name and its message."""
    return f"{type(error).__name__}: {error}"


def latest() -> Record | None:
    """The newest run. None: there never was one."""
    newest = redis.lindex(INDEX, 0)
    return get(str(newest)) if newest else None


def recent(limit: int) -> list[Record]:
    """The last runs, newest first."""
    ids = redis.lrange(INDEX, 0, limit - 1)
    return [record for run_id in ids if (record := get(str(run_id)))]
