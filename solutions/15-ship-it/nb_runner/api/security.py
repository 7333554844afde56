"""The API key: asked for when RUNNER_API_KEY is set."""

import secrets
from typing import Annotated

from fastapi import Depends, HTTPException, Security, params
from fastapi.security import APIKeyHeader

from ..config import get_settings

header = APIKeyHeader(name="X-API-Key", auto_error=False)


async def check(given: Annotated[str | None, Security(header)]) -> None:
    """Let the request in, or answer 401, as late for a nearly right key as for any other."""
    expected = get_settings().runner_api_key
    assert expected is not None
    if not secrets.compare_digest((given or "").encode(), expected.get_secret_value().encode()):
        why = "The header X-API-Key is missing." if given is None else "That API key is wrong."
        raise HTTPException(401, why, headers={"WWW-Authenticate": "X-API-Key"})


def key_needed() -> list[params.Depends]:
    """What the calls depend on that ask for the key."""
    return [Depends(check)] if get_settings().runner_api_key else []
