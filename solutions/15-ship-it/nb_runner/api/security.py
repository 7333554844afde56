"""The API key: asked for when RUNNER_API_KEY is set."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Security
from fastapi.security import APIKeyHeader

from ..config import get_settings
from .answers import ALL

header = APIKeyHeader(name="X-API-Key", auto_error=False)


async def check(given: Annotated[str | None, Security(header)]) -> None:
    """Let the request in, or answer 401, as late for a nearly right key as for any other."""
    expected = get_settings().runner_api_key
    assert expected is not None
    if not secrets.compare_digest((given or "").encode(), expected.get_secret_value().encode()):
        why = "The header X-API-Key is missing." if given is None else "That API key is wrong."
        raise HTTPException(401, why, headers={"WWW-Authenticate": "X-API-Key"})


def router_for_runs() -> APIRouter:
    """A router for calls that start, cancel or tell of runs: with the key, if one is set."""
    dependencies = [Depends(check)] if get_settings().runner_api_key else []
    return APIRouter(tags=["runs"], dependencies=dependencies, responses=ALL)
