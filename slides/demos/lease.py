"""Two runs and one lease: the first is paused for longer than the lease lasts, and wakes up."""

import os
import sys
import time
from pathlib import Path

from kit.processes.stack import Stack

ROOT = Path(__file__).parents[2]

with Stack() as stack:
    os.environ["REDIS_URL"] = stack.redis()
    os.environ["NOTEBOOK_PATH"] = str(ROOT / "notebooks" / "hello.ipynb")
    os.environ["LEASE_SECONDS"] = "2"
    sys.path.insert(0, str(ROOT / "solutions" / "12-survive-a-crash"))
    from nb_runner import lease  # type: ignore[import-not-found]

    print("first takes the lease:    ", lease.take("first"))
    print("second takes the lease:   ", lease.take("second"))
    print("... first is paused, and the lease ends ...")
    while lease.holder():
        time.sleep(0.05)
    print("second takes the lease:   ", lease.take("second"))
    print("first wakes up, renews it:", lease.renew("first"))
    print("first lets go of it:      ", lease.release("first", "nb:run:first", status="SUCCEEDED"))
    print("it is held by:            ", lease.holder())
