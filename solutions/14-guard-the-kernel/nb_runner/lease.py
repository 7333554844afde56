"""The lease: who may run now. It ends by itself, unless its holder keeps saying "still here".

A lock that is held until it is released is held for ever when its holder dies. A lease is not.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from redis import RedisError

from .config import settings
from .connection import redis
from .kernel import GuardedProvisioner

log = logging.getLogger(__name__)

LEASE = "nb:lease"  # holds the id of the run that may go on
LEASE_MS = int(settings.lease_seconds * 1000)
BEAT = min(1.0, settings.lease_seconds / 9)  # a third would keep the lease; a cancel is in a hurry
ANSWER_TIMEOUT = settings.lease_seconds * 2 / 3  # without an answer for so long, we give up in time

# Look and act in one step. In two, the lease may change hands between them.
RENEW = redis.register_script("""
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")
RELEASE = redis.register_script("""
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('HSET', KEYS[2], unpack(ARGV, 2))
    return redis.call('DEL', KEYS[1])
""")


def take(run_id: str) -> bool:
    """Take the lease, if no run holds it."""
    return bool(redis.set(LEASE, run_id, nx=True, px=LEASE_MS))


def holder() -> str | None:
    """The run that holds the lease."""
    return redis.get(LEASE)  # type: ignore[return-value]


def renew(run_id: str) -> bool:
    """Hold it for another while, if it is still ours."""
    return bool(RENEW(keys=[LEASE], args=[run_id, LEASE_MS]))


def release(run_id: str, record: str, **fields: str) -> bool:
    """Compare and delete: let go of the lease if it is still ours, and write how the run ended.

    False: another run holds it by now, and keeps it.
    """
    pairs = [part for pair in fields.items() for part in pair]
    return bool(RELEASE(keys=[LEASE, record], args=[run_id, *pairs]))


class Heartbeat:
    """A thread that renews the lease while the notebook runs, and ends the run when it must.

    Attributes:
        order: why the run had to end before its notebook did: "cancelled" or "lost".
    """

    def __init__(self, run_id: str, cancelled: Callable[[], bool]) -> None:
        self.order: str | None = None
        self._run_id = run_id
        self._cancelled = cancelled
        self._kernel: GuardedProvisioner | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def watch_over(self, kernel: GuardedProvisioner) -> None:
        """There is a kernel now: its guard counts from the first beat on."""
        self._kernel = kernel
        kernel.beat()
        if self.order:  # came before the kernel did
            kernel.end()

    def _beat(self) -> None:
        answered = time.monotonic()
        while not self._over.wait(BEAT):
            asked = time.monotonic()
            try:
                if not renew(self._run_id):
                    return self._end("lost")
                if self._kernel:
                    self._kernel.beat()
                answered = asked  # the lease lasts from somewhere between asked and now
                if self._cancelled():
                    return self._end("cancelled")
            except RedisError as error:  # one silence is no reason to give up
                log.warning("No heartbeat: %s", error)
                if time.monotonic() - answered > ANSWER_TIMEOUT:
                    return self._end("lost")

    def _end(self, order: str) -> None:
        self.order = order
        if self._kernel:
            self._kernel.end()
