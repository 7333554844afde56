"""Twenty starts at once: how many get in without a lock around read and write, and with it."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from kit.processes.stack import Stack

SOLUTION = Path(__file__).parents[2] / "solutions" / "07-one-at-a-time"
CROWD = 20

with Stack() as stack:
    os.environ["REDIS_URL"] = stack.redis()
    sys.path.insert(0, str(SOLUTION))
    from nb_runner import runs  # type: ignore[import-not-found]

    everyone = Barrier(CROWD)

    def admit_without_a_lock(record: runs.Record) -> None:
        current = runs.latest()
        everyone.wait()  # the worst order: all have read before the first one writes
        if current and current.status.active:
            raise runs.Busy(current.run_id)
        runs.save(record)

    def let_in(admit: Callable[[runs.Record], None]) -> int:
        runs.redis.flushdb()

        def one(_: int) -> bool:
            everyone.wait()
            try:
                admit(runs.Record.new(None, ""))
            except runs.Busy:
                return False
            return True

        with ThreadPoolExecutor(CROWD) as crowd:
            return sum(crowd.map(one, range(CROWD)))

    let_in(runs.admit)  # opens the connections
    print(f"without a lock: {let_in(admit_without_a_lock)} of {CROWD} got in")
    print(f"with the lock:  {let_in(runs.admit)} of {CROWD} got in")
