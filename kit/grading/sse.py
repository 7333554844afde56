"""A client for server-sent events. Each fault of the stream raises Wrong with a sentence."""

import json
import time
from collections.abc import Collection, Iterator
from typing import Any, NoReturn, Self

import httpx

from kit.grading.api import PORT, Api
from kit.verdicts import values
from kit.verdicts.failure import Wrong

CONNECT_TIMEOUT = 30.0  # seconds until the answer begins
READ_TIMEOUT = 12.0  # seconds between two lines; FastAPI's own keep-alive comes every 15


class Events:
    """An open stream of events. The data of each event is a JSON object."""

    def __init__(self, api: Api, path: str, where: str, read_timeout: float = READ_TIMEOUT) -> None:
        self.did = f"curl -N http://127.0.0.1:{PORT}{path}"
        self._where = where
        self.received: list[dict[str, Any]] = []
        self._unfinished: list[str] = []  # data of an event whose end has not come yet
        self._read_timeout = read_timeout
        timeouts = httpx.Timeout(CONNECT_TIMEOUT, read=read_timeout)
        self._client = httpx.Client(base_url=api.url, timeout=timeouts, trust_env=False)
        try:
            request = self._client.build_request("GET", path)
            self._response = self._client.send(request, stream=True)
        except httpx.TimeoutException:
            self._client.close()
            self.wrong("a first event at once", f"nothing within {read_timeout:g} s")
        except httpx.HTTPError as error:
            self._client.close()
            self.wrong("a stream of events", f"no answer: {error}\n{api.error_in_log()}")
        self.status = self._response.status_code
        self.type = self._response.headers.get("content-type", "")
        self._events = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._client.close()

    @property
    def unfinished(self) -> bool:
        """Whether there are data of an event whose end has not come yet."""
        return bool(self._unfinished)

    def wrong(self, expected: str, got: str = "") -> NoReturn:
        """Raise Wrong, with the last event that was received."""
        last = f"the last event: {json.dumps(self.received[-1])}" if self.received else "no event"
        if self._unfinished:
            last = f"`data:` came, and no empty line after it: {self._unfinished[0]}"
        raise Wrong(self.did, expected, "\n".join(filter(None, [got, last])), self._where)

    def until(self, expected: str, timeout: float = 30.0, **fields: Any) -> None:
        """Read until an event has these fields. `expected` says in words which event that is."""
        self.until_any(expected, timeout, **{name: (value,) for name, value in fields.items()})

    def until_any(self, expected: str, timeout: float = 30.0, **fields: Collection[Any]) -> None:
        """Read until an event has one of these values in each of these fields."""
        for event in self._listen(expected, timeout):
            if all(event.get(name) in wanted for name, wanted in fields.items()):
                return
        self.wrong(expected, "the stream ended before that")

    def rest(self, expected: str, timeout: float = READ_TIMEOUT) -> None:
        """Read until the stream ends."""
        for _ in self._listen(expected, timeout):
            pass

    def _listen(self, expected: str, timeout: float) -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + timeout
        try:
            for event in self._events:
                if event is not None:
                    values.note_answer(event)
                    self.received.append(event)
                    yield event
                if time.monotonic() > deadline:
                    self.wrong(expected, f"nothing like that within {timeout:g} s")
        except httpx.TimeoutException:
            self.wrong(expected, f"then nothing for {self._read_timeout:g} s")
        except httpx.HTTPError as error:
            self.wrong(expected, f"the stream broke: {error}")

    def _read(self) -> Iterator[dict[str, Any] | None]:
        """Yields an event when its empty line has come; and None for every other line."""
        for line in self._response.iter_lines():
            if line.startswith("data:"):
                self._unfinished.append(line.removeprefix("data:").removeprefix(" "))
                yield None
            elif not line and self._unfinished:
                text = "\n".join(self._unfinished)
                self._unfinished = []
                yield self._object(text)
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
