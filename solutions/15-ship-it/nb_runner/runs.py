"""A run: its record, its statuses, and how the API admits, reads and cancels it."""

import asyncio
import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from redis import RedisError
from redis.commands.core import AsyncScript

from .api.coalescing import Coalescing
from .config import get_settings
from .connection import api_redis
from .lua import Seen, script
from .names import names
from .outcome import WORDS, Reason, Status
from .output.files import File

REMEMBER_CANCEL = 60  # seconds; longer than any try of the same request is under way
seen = Seen()


def _from_json(value: Any) -> Any:
    """A list, which a hash of Redis holds as text."""
    return json.loads(value) if isinstance(value, str) else value


class Run(BaseModel):
    """One run of the notebook, as the API shows it."""

    run_id: str = Field(examples=["20261122-101530-3f9c2a"])
    status: Status = Status.QUEUED
    notebook: str = Field(description="File name of the notebook", examples=["flight_delays.ipynb"])
    requested_by: str | None = Field(None, examples=["ada"])
    cells_done: int = Field(0, description="Code cells that have run")
    cells_total: int | None = Field(
        None, description="Code cells to run; null until a worker looked"
    )
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: Reason | None = Field(None, description="Why the run did not succeed, for programs")
    error: str | None = Field(None, description="Why the run did not succeed, in a sentence")
    signal: str | None = Field(
        None, description="The signal that ended the kernel, if it died", examples=["SIGKILL"]
    )
    exit_code: int | None = Field(None, description="Or its exit code", examples=[3])
    files: Annotated[list[File], BeforeValidator(_from_json)] = Field(
        [], description="Files that the run has left in OUTPUT_DIR; the first 200"
    )
    output_dropped: int = Field(0, description="Bytes of output beyond OUTPUT_LIMIT, not kept")
    token: int | None = Field(
        None, description="The run's fencing token; newer runs have larger ones"
    )
    cancel_requested: bool = False

    @classmethod
    def new(cls, notebook: str, requested_by: str | None) -> Self:
        """Name a run. Ids sort by time and are safe in a path or a URL."""
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        return cls(run_id=run_id, notebook=notebook, requested_by=requested_by, queued_at=now)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.error is None and self.reason is not None:
            self.error = WORDS.get(self.reason)
        return self

    @classmethod
    def read(cls, record: dict[str, Any]) -> Self | None:
        """The run in a record. None: there is no record, or not the whole of it."""
        return cls.model_validate(record) if "queued_at" in record else None

    def fields(self) -> list[str]:
        """The record as HSET wants it: name, value, name, value, …"""
        known = self.model_dump(mode="json", exclude_none=True, exclude={"cancel_requested"})
        known["files"] = json.dumps(known["files"])
        return [str(part) for pair in known.items() for part in pair]


class Busy(Exception):
    """A start was refused: another run blocks it."""

    def __init__(self, running: str) -> None:
        self.running = running
        super().__init__(f"Run {running} blocks this start: one at a time.")


class Elsewhere(Exception):
    """A cancel was refused: another run than the one that was meant is in progress."""

    def __init__(self, meant: str, running: str) -> None:
        self.running = running
        super().__init__(f"Run {meant} is not in progress; run {running} is.")


class Forgot(Exception):
    """A start was refused: Redis forgot something, and a live run may still come back."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            "Redis has just restarted, or was emptied; a run that it forgot may still be alive."
        )


async def admit(requested_by: str | None) -> Run:
    """A new run, its record written and the lease taken in its name; or nothing has changed.

    Raises:
        Busy: another run holds the lease.
        Forgot: Redis forgot something less than one lease ago.
    """
    if running := await blocking_run():  # one request for all that ask at this moment
        raise Busy(running)
    settings = get_settings()
    run = Run.new(settings.notebook_path.name, requested_by)
    verdict, detail = await _step(
        "admit",
        run.run_id,
        *(run.run_id, seen.number, settings.lease_ms),
        *(names().heard, names().queue),
        settings.keep_runs,
        *run.fields(),
    )
    if verdict == "refused":
        raise Busy(detail)
    if verdict == "forgot":
        raise Forgot(int(detail) / 1000)
    seen.note(detail)
    return run


async def withdraw(run: Run) -> bool:
    """Undo an admission whose message could not be queued.

    False: a worker has or had the run, or it has ended.
    """
    return not await _step("withdraw", run.run_id, run.run_id)


async def cancel(run_id: str | None = None) -> Run | None:
    """Ask the run in progress to end, if it is this one. None: nothing is running.

    Raises:
        Elsewhere: another run is in progress.
    """
    meant = run_id or ""
    now, request = datetime.now(UTC).isoformat(), names().cancel(secrets.token_hex(8))
    verdict, *found = await _step("cancel", meant, meant, now, REMEMBER_CANCEL, request)
    if verdict == "other":
        raise Elsewhere(meant, *found)
    return await get(*found) if found else None


async def get(run_id: str) -> Run | None:
    """The run of that id. None: it was never started, or it is too long ago."""
    lease, [run] = await _read([run_id])
    if run and _may_be_lost(run, lease):
        await look()  # Redis decides, and writes it down
        _, [run] = await _read([run_id])
    return run


# What is asked most, by those who try to start and those who wait for the end, is asked together:
# `latest()`, without an argument, shares one request with all that call it at the same moment. The
# function gets how many they are. (api/coalescing.py)
@Coalescing
async def latest(_: int) -> Run | None:
    """The newest run. None: there never was one."""
    newest = await api_redis().lindex(names().index, 0)
    return await get(str(newest)) if newest else None


async def recent() -> list[Run]:
    """The last runs, newest first, KEEP_RUNS at most."""
    newest = await api_redis().lrange(names().index, 0, get_settings().keep_runs - 1)
    ids = [str(run_id) for run_id in newest]
    lease, runs = await _read(ids)
    if any(run and _may_be_lost(run, lease) for run in runs):
        await look()
        _, runs = await _read(ids)
    return [run for run in runs if run]


async def watch() -> None:
    """For ever: remember what Redis must still hold, and notice when it does not.

    Three times in a lease. So if a lease is missing in an older copy of the data, the copy is
    older than the last look, or the run's worker has been silent for so long that it has ended
    the run itself.
    """
    while True:
        with suppress(RedisError):
            await look()
        await asyncio.sleep(get_settings().lease_seconds / 3)


@Coalescing
async def look(_: int) -> None:
    """Have Redis look whether it forgot something, and whether a run is lost."""
    lease_ms = get_settings().lease_ms
    seen.note(await _step("look", "", seen.number, lease_ms, names().heard, names().queue))


@Coalescing
async def blocking_run(starts: int) -> str | None:
    """The run that blocks these starts, counted as refused. None: there is none.

    `Coalescing` passes the number of starts that it answers at once.
    """
    running: str | None = await _step("refuse", "", starts)
    return running


async def _step(name: str, run_id: str, *args: str | float) -> Any:
    """What a script of lua/ answers."""
    return await _script(name)(keys=names().for_script(run_id), args=args)


@cache
def _script(name: str) -> AsyncScript:
    return api_redis().register_script(script(name))


async def _read(ids: list[str]) -> tuple[str | None, list[Run | None]]:
    """The lease, and the runs as their records tell: in one step, or a run that ends between the
    two would look lost.
    """
    async with api_redis().pipeline() as pipe:
        pipe.get(names().lease)
        for run_id in ids:
            pipe.hgetall(names().record(run_id))
        lease, *records = await pipe.execute()
    return lease, [Run.read(record) for record in records]


def _may_be_lost(run: Run, lease: str | None) -> bool:
    """Whether the record says that the run is active, and the lease does not."""
    return run.status.active and not (lease or "").startswith(f"{run.run_id}:")
