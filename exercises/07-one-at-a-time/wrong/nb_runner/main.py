"""The API of a runner with the wrong lock."""

from typing import Annotated

from fastapi import Body, FastAPI, HTTPException

from .tasks import LOCK, redis, run_notebook

app = FastAPI(title="Notebook runner with the wrong lock")


@app.post("/start", status_code=202)
def start(seconds: Annotated[float, Body(embed=True, ge=0, le=600)] = 1) -> dict[str, str]:
    """Take the lock, and leave it to the worker to release it."""
    if not redis.set(LOCK, "taken", nx=True):
        raise HTTPException(409, "A run blocks this start: one at a time.")
    return {"run_id": run_notebook.delay(seconds).id}


@app.get("/status")
def status() -> dict[str, str]:
    """Whether the lock is taken."""
    return {"lock": str(redis.get(LOCK) or "free")}
