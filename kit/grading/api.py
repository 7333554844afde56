"""Talking to a learner's API, so that each surprise comes out as a sentence."""

import contextlib
import json
import shlex
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, Self

from kit.grading import values
from kit.grading.failure import NoAnswer, Wrong

if TYPE_CHECKING:  # it takes a tenth of a second, in which a project can start
    import httpx

PORT = 8000  # where `./workshop run` serves; ours is another, and gone when the learner reads
PATIENCE = 15.0  # seconds for one answer
LOG = "the API's log, which `./workshop run` shows"
LOGGED = 3.0  # seconds until an error is in the log


def curl(method: str, path: str, body: Any = None) -> str:
    """The request as a line to paste."""
    words = ["curl", "-i"]
    if method != "GET":
        words += ["-X", method]
    words.append(f"http://127.0.0.1:{PORT}{path}")
    if body is not None:
        words += ["--json", json.dumps(body)]
    return shlex.join(words)


class Answer:
    """What the API answered, and what we had asked."""

    def __init__(self, did: str, response: "httpx.Response", log: str) -> None:
        self.did = did
        self.status = response.status_code
        self.headers = response.headers
        self.text = response.text
        self._log = log
        with contextlib.suppress(ValueError, RecursionError):
            values.note_answer(json.loads(self.text))

    def __str__(self) -> str:
        reason = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        told = f"{self.status} {reason}: {self.text}"
        return f"{told}\n{self._log}" if self._log else told

    def wrong(self, expected: str, where: str, got: str = "") -> NoReturn:
        """Say what was expected of this answer."""
        raise Wrong(self.did, expected, got or str(self), where)

    def expect(self, status: int, why: str, where: str) -> Self:
        """Wrong unless it has that status. `why` stands behind it: "202 Accepted (…)"."""
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
            self.wrong(f"a JSON object with a field {name!r}", where)
        return body[name]


class Api:
    """A learner's API that is up. `trouble` reads in its log what went wrong, as one line."""

    def __init__(self, url: str, trouble: Callable[[], str]) -> None:
        self.url = url
        self.trouble = trouble
        # A new connection for each request: the server may close an old one as we reach for it.
        import httpx

        once = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            base_url=url,
            timeout=PATIENCE,
            trust_env=False,
            limits=once,
            verify=False,  # nothing here speaks TLS, and to get ready for it takes 50 ms
        )

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask, and take what comes, redirects included as they are."""
        import httpx

        did = curl(method, path, body)
        try:
            response = self._client.request(method, path, json=body)
        except httpx.TimeoutException:
            raise NoAnswer(did, "an answer", f"no answer within {PATIENCE:g} s", LOG) from None
        except httpx.HTTPError as error:
            got = f"no answer: {error}\n{self.trouble()}"
        else:
            return Answer(did, response, self._trouble() if response.status_code >= 500 else "")
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

    def _trouble(self) -> str:
        """What went wrong, once it is in the log: the answer comes before."""
        deadline = time.monotonic() + LOGGED
        while not (trouble := self.trouble()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return trouble
