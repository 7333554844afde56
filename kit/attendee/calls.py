"""Calls of the room's API, with the standard library."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 5.0  # seconds; in the same room, an answer takes milliseconds
INTERACTIVE_TIMEOUT = 20.0  # seconds of a call that a person waits for
LONGEST = 100_000  # bytes of an answer


class Unreachable(Exception):
    """The room does not answer, or what answers is no room."""


class Refused(Exception):
    """The room has refused the call. `status` is the one of HTTP, `reason` a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def address_of(text: str) -> str:
    """The room's address as a URL without a path, of what a person types. Raises ValueError."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError(f"{text} is no address")
    _ = parts.port  # raises ValueError, if it is none
    return f"{parts.scheme}://{parts.netloc}"


def call(
    method: str,
    address: str,
    path: str,
    body: object = None,
    *,
    token: str = "",
    timeout: float = TIMEOUT,
) -> dict[str, Any]:
    """The room's answer. Raises Unreachable or Refused."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        data = json.loads(answer.read(LONGEST))
        if not isinstance(data, dict):
            raise ValueError("no object")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(str(error)) from None
    finally:
        connection.close()
    if answer.status >= 400:
        raise Refused(answer.status, str(data.get("detail", ""))[:300])
    return data
