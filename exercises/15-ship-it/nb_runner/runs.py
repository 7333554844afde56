"""A run: its record, its statuses, and how the API admits, reads and cancels it."""

import asyncio
import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from redis import RedisError
from redis.asyncio import Redis

from .coalescing import Coalescing
from .config import Settings
from .files import File
from .lua import script
from .names import Names
from .reasons import WORDS, Reason

REMEMBER_CANCEL = 60  # seconds; longer than any try of the same request is under way


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"  # admitted; no worker has claimed it yet
    RUNNING = "RUNNING"  # claimed by a worker
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"  # its lease ran out: the worker died, or never came

    @property
    def active(self) -> bool:
        """Whether the run still needs its lease."""
        return self in (Status.QUEUED, Status.RUNNING)


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
    queued: datetime
    started: datetime | None = None
    finished: datetime | None = None
    reason: Reason | None = Field(None, description="Why the run did not succeed, for programs")
    error: str | None = Field(None, description="Why the run did not succeed, in words")
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
        return cls(run_id=run_id, notebook=notebook, requested_by=requested_by, queued=now)

    @model_validator(mode="after")
    def _in_words(self) -> Self:
        if self.error is None and self.reason is not None:
            self.error = WORDS.get(self.reason)
        return self

    @classmethod
    def read(cls, record: dict[str, Any]) -> Self | None:
        """The run in a record. None: there is no record, or not the whole of it."""
        return cls.model_validate(record) if "queued" in record else None

    def fields(self) -> list[str]:
        """The record as HSET wants it: name, value, name, value, …"""
        known = self.model_dump(mode="json", exclude_none=True, exclude={"cancel_requested"})
        known["files"] = json.dumps(known["files"])
        return [str(part) for pair in known.items() for part in pair]


class Busy(Exception):
    """A start was refused: another run is in the way."""

    def __init__(self, running: str) -> None:
        self.running = running
        super().__init__(f"Run {running} is in the way: one at a time.")


class Elsewhere(Exception):
    """A cancel was refused: another run than the one that was meant is in progress."""

    def __init__(self, meant: str, running: str) -> None:
        self.running = running
        super().__init__(f"Run {meant} is not in progress; run {running} is.")


class Grace(Exception):
    """A start was refused: Redis forgot something, and a live run may still come back."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            "Redis has just restarted, or was emptied; a run that it forgot may still be alive."
        )


class Runs:
    """The API's side of the runs. The worker's side is in lease.py."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._names = Names(settings.namespace)
        self._seen = 0  # the largest number of the marker that this process knows of
        self._admit = redis.register_script(script("admit"))
        self._withdraw = redis.register_script(script("withdraw"))
        self._cancel = redis.register_script(script("cancel"))
        self._look_script = redis.register_script(script("look"))
        self._refuse_script = redis.register_script(script("refuse"))
        # What is asked most: by those who try to start, and by those who wait for the end.
        self.in_the_way = Coalescing(self._refuse)
        self.latest = Coalescing(self._newest)
        self.look = Coalescing(self._look)

    async def watch(self) -> None:
        """For ever: remember what Redis must still hold, and notice when it does not.

        Three times in a lease. So if a lease is missing in an older copy of the data, the copy is
        older than the last look, or the run's worker has been silent for so long that it has ended
        the run itself.
        """
        while True:
            with suppress(RedisError):
                await self.look()
            await asyncio.sleep(self._settings.lease_seconds / 3)

    async def admit(self, notebook: str, requested_by: str | None) -> Run:
        """A new run, its record written and the lease taken in its name; or nothing has changed.

        Raises:
            Busy: another run holds the lease.
            Grace: Redis forgot something less than one lease ago.
        """
        if running := await self.in_the_way():
            raise Busy(running)
        run = Run.new(notebook, requested_by)
        verdict, detail = await self._admit(
            keys=self._names.for_script(run.run_id),
            args=[
                run.run_id,
                self._seen,
                self._settings.lease_ms,
                self._names.heard,
                self._names.queue,
                self._settings.keep_runs,
                *run.fields(),
            ],
        )
        if verdict == "refused":
            raise Busy(detail)
        if verdict == "grace":
            raise Grace(int(detail) / 1000)
        self._seen = max(self._seen, int(detail))
        return run

    async def withdraw(self, run: Run) -> bool:
        """Undo an admission whose message could not be queued. False: a worker has the run."""
        keys = self._names.for_script(run.run_id)
        return not await self._withdraw(keys=keys, args=[run.run_id])

    async def cancel(self, run_id: str | None = None) -> Run | None:
        """Ask the run in progress to end, if it is this one. None: nothing is running.

        Raises:
            Elsewhere: another run is in progress.
        """
        meant = run_id or ""
        verdict, *found = await self._cancel(
            keys=self._names.for_script(meant),
            args=[
                meant,
                datetime.now(UTC).isoformat(),
                REMEMBER_CANCEL,
                self._names.cancel(secrets.token_hex(8)),
            ],
        )
        if verdict == "other":
            raise Elsewhere(meant, *found)
        return await self.get(*found) if found else None

    async def get(self, run_id: str) -> Run | None:
        """The run of that id. None: it was never started, or it is too long ago."""
        lease, run = await self._one(run_id)
        if run and _may_be_lost(run, lease):
            await self.look()  # Redis decides, and writes it down
            _, run = await self._one(run_id)
        return run

    async def recent(self) -> list[Run]:
        """The last runs, newest first, KEEP_RUNS at most."""
        lease, runs = await self._all()
        if any(_may_be_lost(run, lease) for run in runs):
            await self.look()
            _, runs = await self._all()
        return runs

    async def _one(self, run_id: str) -> tuple[str | None, Run | None]:
        """The lease, and the run as its record tells."""
        async with self._redis.pipeline() as both:
            both.hgetall(self._names.record(run_id))
            both.get(self._names.lease)
            record, lease = await both.execute()
        return lease, Run.read(record)

    async def _all(self) -> tuple[str | None, list[Run]]:
        """The lease, and the runs as their records tell."""
        async with self._redis.pipeline() as pipe:
            pipe.get(self._names.lease)
            for run_id in await self._redis.lrange(self._names.index, 0, -1):
                pipe.hgetall(self._names.record(str(run_id)))
            lease, *records = await pipe.execute()
        return lease, [run for record in records if (run := Run.read(record))]

    async def _look(self, _: int) -> None:
        number = await self._look_script(
            keys=self._names.for_script(),
            args=[self._seen, self._settings.lease_ms, self._names.heard, self._names.queue],
        )
        self._seen = max(self._seen, int(number))

    async def _refuse(self, starts: int) -> str | None:
        """The run in the way of that many starts, counted as refused. None: there is none."""
        keys = self._names.for_script()
        running: str | None = await self._refuse_script(keys=keys, args=[starts])
        return running

    async def _newest(self, _: int) -> Run | None:
        """The newest run. None: there never was one."""
        newest = await self._redis.lindex(self._names.index, 0)
        return await self.get(str(newest)) if newest else None

    async def totals(self) -> dict[str, int]:
        """How many runs ended in which status, and how many starts were "refused"."""
        counts = await self._redis.hgetall(self._names.totals)
        return {str(name): int(count) for name, count in counts.items()}

    async def measures(self) -> dict[str, float]:
        """How long runs took and waited, and when one last succeeded; measures.py reads it."""
        kept = await self._redis.hgetall(self._names.measures)
        return {str(name): float(value) for name, value in kept.items()}

    async def workers(self) -> int:
        """How many worker processes have been alive within the last few seconds."""
        return len(await self._workers())

    async def notebooks(self) -> set[str]:
        """Our notebook, and those of the workers: one, unless another runner has our namespace."""
        keys = await self._workers()
        notebooks = await self._redis.mget(keys) if keys else []
        return {self._settings.notebook_path.name, *(str(each) for each in notebooks if each)}

    async def _workers(self) -> list[str]:
        pattern = self._names.worker("*")
        return [str(key) async for key in self._redis.scan_iter(pattern, count=1000)]


def _may_be_lost(run: Run, lease: str | None) -> bool:
    """Whether the record says that the run is active, and the lease does not."""
    return run.status.active and not (lease or "").startswith(f"{run.run_id}:")
