"""Listening to server-sent events, so that each surprise comes out as a sentence."""

import json
import time
from collections.abc import Iterator
from typing import Any, NoReturn, Self

import httpx

from kit.grading import values
from kit.grading.api import PORT, Api
from kit.grading.failure import Wrong

CONNECT = 30.0  # seconds for an answer's beginning
SILENCE = 12.0  # seconds between two lines; FastAPI's own keep-alive comes every 15


class Events:
    """A stream of events that is open. Each event's data is a JSON object."""

    def __init__(self, api: Api, path: str, where: str) -> None:
        self.did = f"curl -N http://127.0.0.1:{PORT}{path}"
        self._where = where
        self.heard: list[dict[str, Any]] = []
        timeout = httpx.Timeout(CONNECT, read=SILENCE)
        self._client = httpx.Client(base_url=api.url, timeout=timeout, trust_env=False)
        try:
            request = self._client.build_request("GET", path)
            self._response = self._client.send(request, stream=True)
        except httpx.TimeoutException:
            self._client.close()
            self.wrong("a first event at once", f"nothing within {SILENCE:g} s")
        except httpx.HTTPError as error:
            self._client.close()
            self.wrong("a stream of events", f"no answer: {error}\n{api.trouble()}")
        self.status = self._response.status_code
        self.type = self._response.headers.get("content-type", "")
        self._events = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._client.close()

    def wrong(self, expected: str, got: str = "") -> NoReturn:
        """Say what was expected, and what has been heard."""
        last = f"the last event: {json.dumps(self.heard[-1])}" if self.heard else "no event"
        raise Wrong(self.did, expected, "\n".join(filter(None, [got, last])), self._where)

    def until(self, expected: str, within: float = 30.0, **fields: Any) -> None:
        """Listen until an event has these fields. `expected` says so in words."""
        for event in self._listen(expected, within):
            if fields.items() <= event.items():
                return
        self.wrong(expected, "the stream ended before that")

    def rest(self, expected: str, within: float = SILENCE) -> None:
        """Listen until the stream ends."""
        for _ in self._listen(expected, within):
            pass

    def _listen(self, expected: str, within: float) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + within
        try:
            for event in self._events:
                if event is not None:
                    values.note_answer(event)
                    self.heard.append(event)
                    yield event
                if time.monotonic() > deadline:
                    self.wrong(expected, f"nothing like that within {within:g} s")
        except httpx.TimeoutException:
            self.wrong(expected, f"then nothing for {SILENCE:g} s")
        except httpx.HTTPError as error:
            self.wrong(expected, f"the stream broke: {error}")

    def _read(self) -> Iterator[dict[str, Any] | None]:
        """An event for each that comes; None for whatever else there is, such as a keep-alive."""
        data: list[str] = []
        for line in self._response.iter_lines():
            if line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
            elif not line and data:
                yield self._object("\n".join(data))
                data = []
            else:
                yield None

    def _object(self, text: str) -> dict[str, Any]:
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.wrong("events whose data is a JSON object, as /status gives it", f"data: {text}")
        return event
