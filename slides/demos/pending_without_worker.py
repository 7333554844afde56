"""PENDING, three times: Celery on a task that waits, one that never was, and one it forgot."""

import os
import sys
from pathlib import Path

from kit.processes.stack import Stack

SOLUTION = Path(__file__).parents[2] / "solutions" / "05-celery-task"

with Stack() as stack:
    os.environ["REDIS_URL"] = stack.redis()
    sys.path.insert(0, str(SOLUTION))
    from nb_runner.tasks import app, run_notebook  # type: ignore[import-not-found]

    waiting = run_notebook.delay(1, 100)
    print("queued, and no worker is up: ", waiting.state)
    print("an id that nobody started:   ", app.AsyncResult("nobody-started-this").state)

    app.backend.store_result("yesterdays-run", {"rows": 100}, "SUCCESS")
    yesterdays = app.AsyncResult("yesterdays-run")
    print("a result:                    ", yesterdays.state)
    app.backend.client.delete(app.backend.get_key_for_task(yesterdays.id))  # as a day later
    print("the same, once it expired:   ", app.AsyncResult(yesterdays.id).state)
