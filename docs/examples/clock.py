"""An API with one call, for chapter 02: it tells the time."""

from datetime import UTC, datetime

from fastapi import FastAPI

app = FastAPI(title="Clock", description="Tells the time.", version="1.0.0")


@app.get("/time", response_description="The time in UTC")
async def time() -> str:
    """Tell the time."""
    return datetime.now(UTC).isoformat()
