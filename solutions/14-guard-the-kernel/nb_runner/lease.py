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

from .config import get_settings
from .connection import get_redis, script
from .kernel import GuardedProvisioner

log = logging.getLogger(__name__)

LEASE = "nb:lease"  # holds the id of the run that may go on

# Look and act in one step. In two, the lease may change hands between them.
RENEW = """
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
RELEASE = """
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('HSET', KEYS[2], 'status', ARGV[2], unpack(ARGV, 3))
    redis.call('HINCRBY', KEYS[3], ARGV[2], 1)
    return redis.call('DEL', KEYS[1])
"""


def take(run_id: str) -> bool:
    """Take the lease, if no run holds it."""
    return bool(get_redis().set(LEASE, run_id, nx=True, px=get_settings().lease_ms))


def holder() -> str | None:
    """The run that holds the lease."""
    return get_redis().get(LEASE)  # type: ignore[return-value]


def renew(run_id: str) -> bool:
    """Hold it for another while, if it is still ours."""
    return bool(script(RENEW)(keys=[LEASE], args=[run_id, get_settings().lease_ms]))


def release(run_id: str, record: str, totals: str, status: str, **fields: str) -> bool:
    """Compare and delete: let go of the lease if it is still ours; write and count how it ended.

    False: another run holds it by now, and keeps it.
    """
    pairs = [part for pair in fields.items() for part in pair]
    return bool(script(RELEASE)(keys=[LEASE, record, totals], args=[run_id, status, *pairs]))


class Heartbeat:
    """A thread that renews the lease while the notebook runs, and ends the run when it must.

    Attributes:
        order: why the run had to end before its notebook did: "cancelled" or "lost".
    """

    def __init__(self, run_id: str, cancelled: Callable[[], bool]) -> None:
        self.order: str | None = None
        self._run_id = run_id
        self._cancelled = cancelled
        self._tell_guard: Callable[[], None] = lambda: None
        self._kill: Callable[[], None] = lambda: None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        lease = get_settings().lease_seconds
        self._pause = min(1.0, lease / 9)  # a third would keep the lease; a cancel is in a hurry
        self._answer_timeout = lease * 2 / 3  # without an answer for so long, we give up in time

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
        """There is a kernel now. Its guard counts from the first beat on."""
        self._tell_guard, self._kill = kernel.beat, kernel.end
        self._tell_guard()
        if self.order:  # came before the kernel did
            self._kill()

    def _beat(self) -> None:
        answered = time.monotonic()
        while not self._over.wait(self._pause):
            asked = time.monotonic()
            try:
                if not renew(self._run_id):
                    return self._end("lost")
                self._tell_guard()
                answered = asked  # the lease lasts from somewhere between asked and now
                if self._cancelled():
                    return self._end("cancelled")
            except RedisError as error:  # one silence is no reason to give up
                log.warning("No heartbeat: %s", error)
                if time.monotonic() - answered > self._answer_timeout:
                    return self._end("lost")

    def _end(self, order: str) -> None:
        self.order = order
        self._kill()
