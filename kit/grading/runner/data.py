"""The data of a runner: how they are emptied, and how time passes for them.

The finished runner has a marker in Redis, by which it notices that Redis forgot something. Then it
admits no run for one lease. To begin anew is no such fault, so the marker stays. Earlier projects
have none.
"""

from typing import cast

from redis.client import Pipeline

from explorer import Data

MARKER = "nb:marker"  # a hash, see nb_runner/lua/lease.lua
NUMBER = "number"  # grows; a process that has seen a larger one knows that Redis forgot
ENDS = "ends"  # when the lease is to expire, in ms by the clock of Redis; 0: there is none


class RunnerData(Data):
    """The data of a runner in one Redis."""

    def forget(self) -> None:
        """Forget everything: no run, no message, no lock. All that stays is the marker's number."""

        def empty(pipe: Pipeline) -> None:
            number = cast("bytes | None", pipe.hget(MARKER, NUMBER))
            pipe.multi()
            pipe.flushdb()
            if number is not None:
                pipe.hset(MARKER, NUMBER, number)

        self.redis.transaction(empty, MARKER)

    def advance(self, seconds: float) -> None:
        """Let time pass, also for the marker: it keeps as a value when the lease is to expire."""
        super().advance(seconds)
        if ends := float(cast("bytes | None", self.redis.hget(MARKER, ENDS)) or 0):
            self.redis.hset(MARKER, ENDS, str(int(ends - seconds * 1000)))
