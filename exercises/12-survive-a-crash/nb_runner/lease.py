"""The lease: who may run now. It ends by itself, unless its holder keeps saying "still here".

A lock that is held until it is released is held for ever when its holder dies. A lease is not.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .config import settings
from .connection import redis

LEASE = "nb:lease"  # holds the id of the run that may go on
LEASE_MS = int(settings.lease_seconds * 1000)
BEAT = min(1.0, settings.lease_seconds / 9)  # a third would keep the lease; a cancel is in a hurry
ANSWER_TIMEOUT = settings.lease_seconds * 2 / 3  # without an answer for so long, we give up in time


def take(run_id: str) -> bool:
    """Take the lease, if no run holds it."""
    # TODO(12.1): make it a lease that ends by itself.
    #   This is a lock: a run whose worker dies holds it for ever. Tell Redis in the same command
    #   when the key ends (LEASE_MS). A process may die before it sends a second command.
    #   https://redis.io/docs/latest/commands/set/
    return bool(redis.set(LEASE, run_id, nx=True))


def holder() -> str | None:
    """The run that holds the lease."""
    return redis.get(LEASE)  # type: ignore[return-value]


def renew(run_id: str) -> bool:
    """Hold it for another while, if it is still ours."""
    # TODO(12.2): renew it for another LEASE_MS, if it is still ours.
    #   Look and act in one step, by a script that Redis runs. In two steps, another run may take
    #   the lease between them.
    #   https://redis.io/docs/latest/develop/programmability/eval-intro/
    return holder() == run_id


def release(run_id: str, record: str, **fields: str) -> bool:
    """Compare and delete: let go of the lease if it is still ours, and write how the run ended.

    False: another run holds it by now, and keeps it.
    """
    # TODO(12.3): do this only if the lease is still ours.
    #   A worker that was paused for longer than its lease comes here, too. By then the lease may be
    #   another run's. Compare, write and delete in one step.
    pairs = [part for pair in fields.items() for part in pair]
    redis.hset(record, items=pairs)
    redis.delete(LEASE)
    return True


class Heartbeat:
    """A thread that renews the lease while the notebook runs, and ends the run when it must.

    Attributes:
        order: why the run had to end before its notebook did: "cancelled" or "lost".
    """

    def __init__(self, run_id: str, cancelled: Callable[[], bool]) -> None:
        self.order: str | None = None
        self._run_id = run_id
        self._cancelled = cancelled
        self._kill: Callable[[], None] = lambda: None
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

    def watch_over(self, kill: Callable[[], None]) -> None:
        """There is a kernel now, and this ends it."""
        self._kill = kill
        if self.order:  # came before the kernel did
            kill()

    def _beat(self) -> None:
        # TODO(12.2): keep the lease while the notebook runs.
        #   Renew it every BEAT seconds, until the run is over. When the lease is gone or another
        #   run's, end the kernel: `_end("lost")`. When Redis does not answer (RedisError), try
        #   again: it may answer at the next beat. But after ANSWER_TIMEOUT seconds without an
        #   answer, the lease may be lost: `_end("lost")`.
        # TODO(12.4): at each beat, look whether the run is cancelled (`_cancelled`).
        self._over.wait()

    def _end(self, order: str) -> None:
        self.order = order
        self._kill()
