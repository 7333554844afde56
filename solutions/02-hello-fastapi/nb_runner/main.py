"""The API of the notebook runner."""

from fastapi import FastAPI

app = FastAPI(
    title="Notebook runner",
    description="Starts a notebook by an API call, and never twice at once.",
    version="0.1.0",
)


@app.get("/ping", response_description="The API is alive")
async def ping() -> str:
    """Say that the API is alive."""
    return "pong"
