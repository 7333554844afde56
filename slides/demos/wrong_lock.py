"""The API takes the lock, the worker is to release it, and the worker is killed."""

import os
import sys
from pathlib import Path

from kit.processes.child import wait_until
from kit.processes.project import Project, start_worker, wait_for_worker
from kit.processes.stack import Stack

WRONG = Path(__file__).parents[2] / "exercises" / "07-one-at-a-time" / "wrong"

with Stack() as stack:
    stack.env["REDIS_URL"] = os.environ["REDIS_URL"] = stack.redis()
    sys.path.insert(0, str(WRONG))
    from fastapi.testclient import TestClient
    from nb_runner.main import app  # type: ignore[import-not-found]

    api = TestClient(app)
    worker = start_worker(stack, Project(WRONG), 1, stack.env)
    wait_for_worker(worker)
    print("start:          ", api.post("/start", json={"seconds": 600}).status_code)
    wait_until(lambda: "at work" in worker.output(), "the task to begin", 30, worker)
    print("another start:  ", api.post("/start").status_code)

    worker.kill()
    wait_for_worker(start_worker(stack, Project(WRONG), 2, stack.env))
    print("the worker is killed, and a new one is up")
    print("another start:  ", api.post("/start").status_code)
    print("the lock:       ", api.get("/status").json()["lock"])
