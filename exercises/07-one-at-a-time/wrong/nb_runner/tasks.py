"""The Celery app and its one task, which releases a lock that the API has taken."""

import os
import time

from celery import Celery
from redis import Redis

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
LOCK = "wrong:lock"

app = Celery("nb_runner", broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(task_track_started=True, broker_connection_retry_on_startup=True)
redis = Redis.from_url(REDIS_URL, decode_responses=True)


@app.task(name="nb_runner.run_notebook")
def run_notebook(seconds: float) -> str:
    """Stand in for the notebook, then release the lock. `finally`: also when the work fails."""
    try:
        print("at work")
        time.sleep(seconds)
        return "done"
    finally:
        redis.delete(LOCK)
