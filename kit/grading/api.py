"""A client for a learner's API. Each fault of the API raises Wrong with a sentence."""

import contextlib
import functools
import json
import shlex
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, Self

from kit.verdicts import values
from kit.verdicts.failure import NoAnswer, Wrong

if TYPE_CHECKING:  # its import takes 0.1 s: it is imported while the project starts
    import httpx

PORT = 8000  # the port of `./workshop run`: messages name it in place of the grader's own port
ANSWER_TIMEOUT = 15.0  # seconds for one answer
LOG = "the API's log, which `./workshop run` shows"
LOG_TIMEOUT = 3.0  # seconds until an error is in the log


def curl(method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}) -> str:
    """The request as a line to paste."""
    words = ["curl", "-i"]
    if method != "GET":
        words += ["-X", method]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    words.append(f"http://127.0.0.1:{PORT}{path}")
    if body is not None:
        words += ["--json", json.dumps(body)]
    return shlex.join(words)


class Answer:
    """One answer of the API, and the request as a line to paste."""

    def __init__(
        self, did: str, response: "httpx.Response", error_in_log: Callable[[], str]
    ) -> None:
        self.did = did
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.text
        self._error_in_log = error_in_log
        with contextlib.suppress(ValueError, RecursionError):
            values.note_answer(json.loads(self.text))

    def __str__(self) -> str:
        reason = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        text = f"{self.status} {reason}: {self.text}"
        return f"{text}\n{self._log}" if self._log else text

    @functools.cached_property
    def _log(self) -> str:
        """The error in the log. It is read when a message needs it: a 503 may be as expected."""
        return self._error_in_log() if self.status >= 500 else ""

    def wrong(self, expected: str, where: str, got: str = "") -> NoReturn:
        """Raise Wrong: this answer is not the expected one."""
        raise Wrong(self.did, expected, got or str(self), where)

    def expect(self, status: int, why: str, where: str) -> Self:
        """Raise Wrong unless it has that status. `why` follows in brackets: "202 Accepted (…)"."""
        if self.status != status:
            reason = f" ({why})" if why else ""
            self.wrong(f"{status} {HTTPStatus(status).phrase}{reason}", where)
        return self

    def json(self, where: str) -> Any:
        """The body as JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            self.wrong("JSON", where)

    def object(self, where: str) -> dict[str, Any]:
        """The body as a JSON object."""
        body = self.json(where)
        if not isinstance(body, dict):
            self.wrong("a JSON object", where)
        return body

    def field(self, name: str, where: str) -> Any:
        """One field of the JSON object."""
        body = self.object(where)
        if name not in body:
            inner = [
                each for each, value in body.items() if isinstance(value, dict) and name in value
            ]
            place = f" at the top, not inside {inner[0]!r}" if inner else ""
            self.wrong(f"a JSON object with a field {name!r}{place}", where)
        return body[name]


class Api:
    """A learner's API that is up. `error_in_log` returns the error in its log as one line."""

    def __init__(self, url: str, error_in_log: Callable[[], str]) -> None:
        self.url = url
        self.error_in_log = error_in_log
        # A new connection for each request: the server may close a kept one at any moment.
        import httpx

        no_keepalive = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=url,
            timeout=ANSWER_TIMEOUT,
            trust_env=False,
            limits=no_keepalive,
            verify=False,  # without TLS, loading the certificates would waste 50 ms
        )

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request. A redirect is returned, not followed."""
        import httpx

        did = curl(method, path, body, headers)
        sent = {name.encode(): value.encode() for name, value in headers.items()}
        try:
            response = self._client.request(method, path, json=body, headers=sent)
        except httpx.TimeoutException:
            got = f"no answer within {ANSWER_TIMEOUT:g} s"
            raise NoAnswer(did, "an answer", got, LOG) from None
        except httpx.HTTPError as error:
            got = f"no answer: {error}\n{self.error_in_log()}"
        else:
            return Answer(did, response, self._wait_for_error_in_log)
        raise Wrong(did, "an answer", got, LOG)

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.request("POST", path, body)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document: what /docs shows."""
        where = "nb_runner/main.py: app"
        return self.get("/openapi.json").expect(200, "the OpenAPI document", where).object(where)

    def close(self) -> None:
        self._client.close()

    def _wait_for_error_in_log(self) -> str:
        """The error in the log. The API may write it after it has answered."""
        deadline = time.monotonic() + LOG_TIMEOUT
        while not (error := self.error_in_log()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return error
