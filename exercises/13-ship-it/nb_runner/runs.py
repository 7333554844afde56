"""A run: its record, its statuses, and how the API admits, reads and cancels it.

Everything lives in Redis under six names, so that any number of API processes can serve it:

    nb:lease        who may run now: "<run id>:admitted", later "<run id>:<worker>"; expires
    nb:run:<id>     the record of a run, a hash
    nb:runs         ids of the last runs, newest first
    nb:totals       how many runs ended in which status, and how many starts were refused
    nb:worker:<n>   a worker process that was alive a moment ago; expires
    nb:cancel:<n>   the run that this POST /cancel has cancelled; expires
"""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, Field
from redis.asyncio import Redis

from .coalescing import Coalescing
from .config import Settings
from .lua import script

LEASE, INDEX, TOTALS = "nb:lease", "nb:runs", "nb:totals"


def record_key(run_id: str) -> str:
    """Where the record of a run is kept."""
    return f"nb:run:{run_id}"


def worker_key(name: str) -> str:
    """Where a worker process says that it is alive."""
    return f"nb:worker:{name}"


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


LOST_WORDS = {
    Status.QUEUED: "No worker took the run while its lease lasted. Is one up, and free?",
    Status.RUNNING: "The worker fell silent for longer than its lease.",
}
REMEMBER_CANCEL = 60  # seconds; longer than any try of the same request is under way
CANCELLED_BEFORE_START = "Cancelled before a worker took it."


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
    error: str | None = Field(None, description="Why the run did not succeed, in words")
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

    @classmethod
    def seen(cls, record: dict[str, str], lease: str | None) -> Self | None:
        """The run in a record; LOST when the record says active and the lease says otherwise."""
        if "queued" not in record:
            return None
        run = cls.model_validate(record)
        if run.status.active and not (lease or "").startswith(f"{run.run_id}:"):
            run.error = LOST_WORDS[run.status]
            run.status = Status.LOST
        return run

    def fields(self) -> list[str]:
        """The record as HSET wants it: name, value, name, value, …"""
        known = self.model_dump(mode="json", exclude_none=True, exclude={"cancel_requested"})
        return [str(part) for pair in known.items() for part in pair]


class Busy(Exception):
    """A start was refused: another run is in the way."""

    def __init__(self, running: str) -> None:
        self.running = running
        super().__init__(f"Run {running} is in the way: one at a time.")


class Grace(Exception):
    """A start was refused: Redis restarted, and a live run may still come back."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__("Redis has just restarted; a run that it forgot may still be alive.")


class Runs:
    """The API's side of the runs. The worker's side is in lease.py."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._server = ""  # Redis's own run_id, as this process last saw it
        self._admit = redis.register_script(script("admit"))
        self._withdraw = redis.register_script(script("withdraw"))
        self._cancel = redis.register_script(script("cancel"))
        self._refuse_script = redis.register_script(script("refuse"))
        # What is asked most: by those who try to start, and by those who wait for the end.
        self.in_the_way = Coalescing(self._refuse)
        self.latest = Coalescing(self._newest)

    async def look(self) -> None:
        """Take a first look at Redis, so that a later restart is seen as one."""
        self._server = (await self._redis.info("server"))["run_id"]

    async def admit(self, notebook: str, requested_by: str | None) -> Run:
        """A new run, its record written and the lease taken in its name; or nothing has changed.

        Raises:
            Busy: another run holds the lease.
            Grace: Redis restarted less than one lease ago.
        """
        if running := await self.in_the_way():
            raise Busy(running)
        run = Run.new(notebook, requested_by)
        verdict, detail = await self._admit(
            keys=[LEASE, INDEX, TOTALS, record_key(run.run_id)],
            args=[
                run.run_id,
                self._settings.lease_ms,
                self._settings.keep_runs,
                self._server,
                *LOST_WORDS.values(),
                *run.fields(),
            ],
        )
        if verdict == "refused":
            raise Busy(detail)
        if verdict == "grace":
            raise Grace(int(detail) / 1000)
        self._server = detail
        return run

    async def withdraw(self, run: Run) -> bool:
        """Undo an admission whose message could not be queued. False: a worker has the run."""
        keys = [LEASE, INDEX, record_key(run.run_id)]
        return not await self._withdraw(keys=keys, args=[run.run_id])

    async def cancel(self) -> Run | None:
        """Ask the run in progress to end. None: nothing is running."""
        now = datetime.now(UTC).isoformat()
        run_id = await self._cancel(
            keys=[LEASE, TOTALS, f"nb:cancel:{secrets.token_hex(8)}"],
            args=[now, CANCELLED_BEFORE_START, REMEMBER_CANCEL],
        )
        return await self.get(run_id) if run_id else None

    async def get(self, run_id: str) -> Run | None:
        """The run of that id. None: it was never started, or it is too long ago."""
        async with self._redis.pipeline() as both:
            both.hgetall(record_key(run_id))
            both.get(LEASE)
            record, lease = await both.execute()
        return Run.seen(record, lease)

    async def recent(self) -> list[Run]:
        """The last runs, newest first, KEEP_RUNS at most."""
        async with self._redis.pipeline() as pipe:
            pipe.get(LEASE)
            for run_id in await self._redis.lrange(INDEX, 0, -1):
                pipe.hgetall(record_key(str(run_id)))
            lease, *records = await pipe.execute()
        return [run for record in records if (run := Run.seen(record, lease))]

    async def _refuse(self, starts: int) -> str | None:
        """The run in the way of that many starts, counted as refused. None: there is none."""
        running: str | None = await self._refuse_script(keys=[LEASE, TOTALS], args=[starts])
        return running

    async def _newest(self, _: int) -> Run | None:
        """The newest run. None: there never was one."""
        newest = await self._redis.lindex(INDEX, 0)
        return await self.get(str(newest)) if newest else None

    async def totals(self) -> dict[str, int]:
        """How many runs ended in which status, and how many starts were "refused"."""
        counts = await self._redis.hgetall(TOTALS)
        return {str(name): int(count) for name, count in counts.items()}

    async def workers(self) -> int:
        """How many worker processes have been alive within the last few seconds."""
        return len([key async for key in self._redis.scan_iter(worker_key("*"), count=1000)])
