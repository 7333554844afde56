"""The API key: asked for when RUNNER_API_KEY is set."""

import secrets
from typing import Annotated

from fastapi import Depends, HTTPException, Security
from fastapi.security import APIKeyHeader

from .config import settings

header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="Needed when RUNNER_API_KEY is set."
)


async def check(key: Annotated[str | None, Security(header)]) -> None:
    """Let the request in, or answer 401, as late for a nearly right key as for any other."""
    expected = settings().runner_api_key
    if expected is None:
        return
    given = (key or "").encode()
    if not secrets.compare_digest(given, expected.get_secret_value().encode()):
        problem = "The header X-API-Key is missing." if key is None else "That API key is wrong."
        raise HTTPException(401, problem, headers={"WWW-Authenticate": "X-API-Key"})


KeyNeeded = Depends(check)
