"""What the explorer itself asks Redis: has something changed, and may time have passed?"""

from collections.abc import Sequence
from typing import Self, cast

from redis import Redis
from redis.exceptions import ResponseError

TIMEOUT = 60.0  # seconds for an answer of Redis: redis-py gives up after 5, on a busy machine, too
# In one step, else a key that is given a shorter time meanwhile gets the longer one back.
SHORTEN = """
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
"""


class Data:
    """The data of one Redis, looked at without a gate."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(url, socket_timeout=TIMEOUT)
        self._tells = True  # whether this Redis counts its changes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.redis.close()

    def changes(self) -> int | None:
        """How many changes Redis has counted. None: it does not tell, as stand-ins do not."""
        if not self._tells:
            return None
        try:
            told = cast("dict[str, object]", self.redis.info("persistence"))
            return int(str(told["rdb_changes_since_last_save"]))
        except (ResponseError, KeyError):
            self._tells = False
            return None

    def look(self, keys: Sequence[str]) -> tuple[bytes | None, ...]:
        """What these keys hold, in a form that can be compared."""
        return tuple(self.redis.dump(key) for key in keys)

    def advance(self, seconds: float) -> None:
        """Let time pass for the data: every key that ends by itself ends so much earlier.

        The clocks of programs do not change, and neither does a time that is kept as a value.
        """
        passed = int(seconds * 1000)
        for key in self.redis.scan_iter(count=1000):
            left = int(self.redis.pttl(key))
            if left >= 0:
                self.redis.pexpire(key, left - passed)  # not more than nothing left: it is gone

    def shorten(self, seconds: float) -> None:
        """Every key that ends by itself ends `seconds` from now at the latest."""
        for key in self.redis.scan_iter(count=1000):
            self.redis.eval(SHORTEN, 1, key, int(seconds * 1000))
