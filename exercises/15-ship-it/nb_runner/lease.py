"""The worker's side of a run: claim the lease, keep it alive, let it go."""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime
from enum import Enum
from typing import Self

from redis import Redis, RedisError

from . import measures
from .config import Settings
from .lua import script
from .names import Names
from .outcome import RunOutcome
from .reasons import Reason
from .runs import Run, Status

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
        status, reason = ENDS.get(self, (Status.LOST, Reason.WORKER_LOST))
        return RunOutcome(status, reason, f"{self.value} It was at: {where}.")


ENDS = {
    Order.CANCELLED: (Status.CANCELLED, Reason.CANCELLED),
    Order.SHUTDOWN: (Status.FAILED, Reason.WORKER_STOPPED),
    Order.TIMEOUT: (Status.FAILED, Reason.RUN_TIMEOUT),
}


class Lease:
    """A claim on the one run that may be going. Made by `claim`."""

    def __init__(
        self,
        redis: Redis,
        settings: Settings,
        run: Run,
        owner: str,
        claimed: float,
        admission: int,
    ) -> None:
        self.run = run
        self.claimed = claimed  # by the monotonic clock, just before Redis was asked
        self._admission = self._seen = admission  # numbers of the marker; lua/lease.lua explains it
        self._keys = Names(settings.namespace).for_script(run.run_id)
        self._mine = f"{run.run_id}:{owner}"
        self._lease_ms = settings.lease_ms
        self._keep = redis.register_script(script("keep"))

    @classmethod
    def claim(
        cls, redis: Redis, settings: Settings, run_id: str, owner: str, token: int | None
    ) -> Self | None:
        """Make an admitted run ours. None: it is not there to be claimed (any more).

        Tries for as long as an admission lasts, then raises RedisError.
        """
        fields = ["status", Status.RUNNING, "started", datetime.now(UTC).isoformat()]
        if token is not None:
            fields += ["token", str(token)]
        claim = redis.register_script(script("claim"))
        keys = Names(settings.namespace).for_script(run_id)
        args: list[str | int] = [
            f"{run_id}:admitted",
            f"{run_id}:{owner}",
            settings.lease_ms,
            *fields,
        ]
        deadline = time.monotonic() + settings.lease_seconds
        while True:
            asked = time.monotonic()
            try:
                flat = claim(keys=keys, args=args)
                break
            except RedisError:
                if asked > deadline:
                    raise
                time.sleep(0.1)
        if not flat:
            return None
        record = dict(zip(flat[::2], flat[1::2], strict=True))
        run = Run.model_validate(record)
        return cls(redis, settings, run, owner, asked, int(record["number"]))

    def renew(self) -> Order | None:
        """Renew the lease and the record, or learn why not. Raises RedisError without an answer."""
        answer = self._tell(self._lease_ms)
        return {"cancel": Order.CANCELLED, "lost": Order.LOST}.get(answer)

    def finish(self, outcome: RunOutcome, timeout: float) -> bool:
        """Write how the run ended and let go of the lease, in one step.

        Tries for `timeout` seconds. False: the lease was gone, or Redis was; the run reads LOST.
        """
        self.run = self.run.model_copy(update=vars(outcome) | {"finished": datetime.now(UTC)})
        deadline = time.monotonic() + timeout
        while True:
            try:
                return bool(self._tell(0) != "lost")
            except RedisError as failure:
                if time.monotonic() > deadline:
                    log.error("Could not write the end of run %s: %s", self.run.run_id, failure)
                    return False
                time.sleep(0.2)

    def _tell(self, lease_ms: int) -> str:
        measured = measures.of_run(self.run)
        args: list[str | float] = [self._mine, self.run.run_id, lease_ms]
        args += [self._admission, self._seen, measures.success_time(self.run)]
        args += [len(measured), *measured, *self.run.fields()]
        answer, *number = self._keep(keys=self._keys, args=args)
        self._seen = max(self._seen, *map(int, number))
        return str(answer)


class Heartbeat:
    """A thread that keeps a lease alive.

    It calls `beat` whenever the lease was renewed, and `stop_run` once if the run has to stop.

    The thread does all the talking to Redis while cells run: progress is noted on the record and
    goes out with the next beat, so a slow Redis never holds up a cell.
    """

    def __init__(
        self,
        lease: Lease,
        lease_seconds: float,
        run_timeout: float | None,
        told_to_stop: threading.Event,
        beat: Callable[[], None],
        stop_run: Callable[[], None],
    ) -> None:
        self.order: Order | None = None
        self._lease = lease
        self._answered = lease.claimed
        # A third of the lease would do to keep it; a cancel should be seen sooner than that.
        self._period = min(lease_seconds / 3, 0.5)
        self._answer_timeout = lease_seconds * ANSWER_SHARE
        self._run_timeout = run_timeout
        self._told_to_stop = told_to_stop
        self._beat = beat
        self._stop_run = stop_run
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
        # The guard may have been quicker to notice than we were.
        if self.order is None and time.monotonic() - self._answered > self._answer_timeout:
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
            self._news.wait(self._period)
            self._news.clear()
            asked = time.monotonic()
            order = Order.SILENCE if asked - self._answered > self._answer_timeout else None
            if order is None:
                try:
                    order = self._lease.renew()
                    self._answered = asked
                    if order is not Order.LOST:
                        self._beat()
                except RedisError as error:
                    log.warning("No answer from Redis: %s", error)
            if order is None and self._told_to_stop.is_set():
                order = Order.SHUTDOWN
            if order is None and self._takes_too_long(asked):
                order = Order.TIMEOUT
            if order and self.order is None:
                log.warning("Stopping run %s: %s", self._lease.run.run_id, order.value)
                self.order = order
                self._stop_run()
            if order in (Order.LOST, Order.SILENCE):
                return

    def _takes_too_long(self, now: float) -> bool:
        """Whether the run has taken all of its time. (By a clock that nobody sets.)"""
        return self._run_timeout is not None and now - self._lease.claimed > self._run_timeout
