"""The worker's side of a run: claim the lease, keep it alive, let it go."""

import logging
import math
import threading
import time
from contextvars import copy_context
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Protocol, Self

from redis import RedisError
from redis.commands.core import Script

from .config import get_settings
from .connection import worker_redis
from .extras import measures
from .lua import Seen, script
from .names import names
from .outcome import Reason, RunOutcome, Status
from .runs import Run

log = logging.getLogger(__name__)

ANSWER_SHARE = 2 / 3  # of the lease may pass without an answer; then there is still time to stop


class Order(Enum):
    """Why a run has to stop before its notebook does."""

    CANCELLED = "Cancelled."
    LOST = "The lease ran out, or went to another run."
    SILENCE = "Redis did not answer for two thirds of the lease, so the worker stopped itself."
    SHUTDOWN = "The worker was told to stop in the middle of the run."
    TIMEOUT = "The run took longer than RUN_TIMEOUT."

    def outcome(self, where: str) -> RunOutcome:
        """How the run ends by it. `where` says which cell it was at."""
        status, reason = ENDS[self]
        return RunOutcome(status, reason, f"{self.value} It was at: {where}.")


ENDS = {
    Order.CANCELLED: (Status.CANCELLED, Reason.CANCELLED),
    # Written by the worker, if its lease still is its own; else Redis has written the same.
    Order.LOST: (Status.LOST, Reason.WORKER_LOST),
    Order.SILENCE: (Status.LOST, Reason.WORKER_LOST),
    Order.SHUTDOWN: (Status.FAILED, Reason.WORKER_STOPPED),
    Order.TIMEOUT: (Status.FAILED, Reason.RUN_TIMEOUT),
}


WITHOUT_A_LEASE = (Order.LOST, Order.SILENCE)  # another run may begin: there is no time to lose


class Cells(Protocol):
    """What runs cells."""

    def beat(self) -> None:
        """The lease is ours: the run may go on."""

    def interrupt(self) -> None:
        """Interrupt the cell that runs, and begin no further one."""

    def stop(self) -> None:
        """End the run now."""


class Lease:
    """A claim on the one run that may be going. Made by `claim`."""

    def __init__(self, run: Run, owner: str, claimed: float, admission: int) -> None:
        self.run = run
        self.claimed = claimed  # by the monotonic clock, just before Redis was asked
        self._mine = f"{run.run_id}:{owner}"
        self._admission = admission  # a number; lua/lease.lua says what it is for
        self._seen = Seen()
        self._seen.note(admission)

    def renew(self) -> Order | None:
        """Renew the lease and the record, or learn why not. Raises RedisError without an answer."""
        answer = self._keep(get_settings().lease_ms)
        return {"cancel": Order.CANCELLED, "lost": Order.LOST}.get(answer)

    def release(self, outcome: RunOutcome, timeout: float) -> bool:
        """Write how the run ended and let go of the lease, in one step.

        Tries for `timeout` seconds. False: the lease was gone, or Redis was; the run reads LOST, or
        will do so soon.
        """
        self.run = self.run.model_copy(update=vars(outcome) | {"finished_at": datetime.now(UTC)})
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._keep(0) != "lost"
            except RedisError as failure:
                if time.monotonic() > deadline:
                    log.error("Could not write the end of run %s: %s", self.run.run_id, failure)
                    return False
                time.sleep(0.2)

    def _keep(self, lease_ms: int) -> str:
        """Keep the lease for so long, or let it go (0); the record goes along."""
        measured = measures.of_run(self.run)
        answer, *number = _step(
            "keep",
            self.run.run_id,
            *(self._mine, self.run.run_id, lease_ms, self._admission, self._seen.number),
            *(measures.success_time(self.run), len(measured), *measured, *self.run.fields()),
        )
        self._seen.note(*number or [0])
        return str(answer)


def claim(run_id: str, owner: str, token: int | None) -> Lease | None:
    """Make an admitted run ours. None: it is not there to be claimed (any more).

    Tries for as long as an admission lasts, then raises RedisError.
    """
    settings = get_settings()
    fields = ["status", Status.RUNNING, "started_at", datetime.now(UTC).isoformat()]
    if token is not None:
        fields += ["token", str(token)]
    deadline = time.monotonic() + settings.lease_seconds
    while True:
        asked = time.monotonic()
        try:
            admitted, mine = f"{run_id}:admitted", f"{run_id}:{owner}"
            flat = _step(
                "claim",
                run_id,
                *(admitted, mine, settings.lease_ms, run_id, settings.keep_runs),
                *fields,
            )
            break
        except RedisError:
            if asked > deadline:
                raise
            time.sleep(0.1)
    if not flat:
        return None
    record = dict(zip(flat[::2], flat[1::2], strict=True))
    return Lease(Run.model_validate(record), owner, asked, int(record["admitted_as"]))


def _step(name: str, run_id: str, *args: str | float) -> Any:
    """What a script of lua/ answers."""
    return _script(name)(keys=names().for_script(run_id), args=args)


@cache
def _script(name: str) -> Script:
    return worker_redis().register_script(script(name))


class Heartbeat:
    """A thread that keeps a lease alive.

    It calls `beat` of what runs the cells whenever the lease was renewed. When the run has to stop,
    it calls `interrupt`, and `stop` CANCEL_GRACE seconds later, if the run has not ended by then.
    Without a lease it calls `stop` at once.

    Without an answer from Redis, this is what happens, in shares of the lease from the last renewal
    on: at two thirds, the thread calls `stop`, and the kernel's guard, a process of its own, kills
    the kernel. It does so even if this process hangs or is dead. At the whole of it, the lease is
    over, and another run may begin.

    The thread does all the talking to Redis while cells run: progress is noted on the record and
    goes out with the next beat, so a slow Redis never holds up a cell.
    """

    def __init__(
        self,
        lease: Lease,
        told_to_stop: threading.Event,
        cells: Cells,
    ) -> None:
        settings = get_settings()
        self.order: Order | None = None
        self._lease = lease
        self._answered = lease.claimed
        # A third of the lease would do to keep it; a cancel should be seen sooner than that.
        self._period = min(settings.lease_seconds / 3, 0.5)
        self._answer_timeout = settings.lease_seconds * ANSWER_SHARE
        self._run_timeout = settings.run_timeout
        self._grace = settings.cancel_grace
        self._grace_ends = math.inf  # by the monotonic clock
        self._told_to_stop = told_to_stop
        self._cells = cells
        self._news = threading.Event()
        self._over = threading.Event()
        run = copy_context().run  # what the thread logs is about the run, too
        self._thread = threading.Thread(target=run, args=[self._run], name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._news.set()
        self._thread.join()
        # The guard may have killed the kernel before the thread noticed the silence.
        if self.order is None and self._silent_for_too_long(time.monotonic()):
            self.order = Order.SILENCE

    def stopped(self) -> bool:
        """Whether the run has been told to stop."""
        return self.order is not None

    def progress(self, cells_done: int, cells_total: int) -> None:
        """Note how far the run is; the next beat, which comes at once, carries it to Redis."""
        self._lease.run.cells_done = cells_done
        self._lease.run.cells_total = cells_total
        self._news.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._news.wait(min(self._period, max(0, self._grace_ends - time.monotonic())))
            self._news.clear()
            order = self._renew()
            if order and self.order is None:
                log.warning("Stopping run %s: %s", self._lease.run.run_id, order.value)
                self.order = order
                self._grace_ends = time.monotonic() + self._grace
                if self._grace and order not in WITHOUT_A_LEASE:
                    self._cells.interrupt()
            if order in WITHOUT_A_LEASE:
                self._cells.stop()
                return
            if time.monotonic() >= self._grace_ends:
                self._cells.stop()
                self._grace_ends = math.inf

    def _renew(self) -> Order | None:
        """Renew the lease. Answers why the run has to stop, if it has."""
        asked = time.monotonic()
        if self._silent_for_too_long(asked):
            return Order.SILENCE
        order = None
        try:
            order = self._lease.renew()
            if self._silent_for_too_long(time.monotonic()):
                return Order.SILENCE  # the answer came, and the guard did not wait for it
            self._answered = asked
            if order is not Order.LOST:
                self._cells.beat()
        except RedisError as error:
            log.warning("No answer from Redis: %s", error)
        if order is None and self._told_to_stop.is_set():
            order = Order.SHUTDOWN
        if order is None and self._takes_too_long(asked):
            order = Order.TIMEOUT
        return order

    def _silent_for_too_long(self, now: float) -> bool:
        """Whether Redis has not answered for so long that the kernel's guard kills the kernel."""
        return now - self._answered > self._answer_timeout

    def _takes_too_long(self, now: float) -> bool:
        """Whether the run has taken all of its time. (By a clock that nobody sets.)"""
        return self._run_timeout is not None and now - self._lease.claimed > self._run_timeout
