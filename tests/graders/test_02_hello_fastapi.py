"""Exercise 02: an app, GET /ping, and documentation that comes from the code."""

import pytest

from kit.grading.api import Api
from kit.grading.failure import require
from kit.grading.submission import Submission

WHERE = "nb_runner/main.py: app"
PING = "nb_runner/main.py: ping()"


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up()


@pytest.mark.task("2.1")
def test_ping_answers_pong(api: Api) -> None:
    answer = api.get("/ping").expect(200, "the API is alive", PING)
    if answer.json(PING) != "pong":
        answer.wrong('"pong", as JSON', PING)


@pytest.mark.task("2.2")
def test_the_app_says_what_it_is(api: Api) -> None:
    did = "open http://127.0.0.1:8000/docs"
    info = api.openapi()["info"]
    title, description = info.get("title", ""), info.get("description", "")
    require(title != "FastAPI" and title, did, "a title of your own", repr(title), WHERE)
    require(description.strip(), did, "a description under the title", "none", WHERE)


@pytest.mark.task("2.3")
def test_the_call_says_what_it_does(api: Api) -> None:
    did = "open http://127.0.0.1:8000/docs and unfold GET /ping"
    call = api.openapi()["paths"].get("/ping", {}).get("get")
    require(call, did, "GET /ping", "no such call", PING)
    require(call.get("description"), did, "a description of the call", "none", PING)
    success = call["responses"].get("200", {})
    words = success.get("description", "")
    expected = "words of your own for the answer 200"
    require(
        words not in ("", "Successful Response"),
        did,
        expected,
        repr(words),
        PING,
    )
    schema = success.get("content", {}).get("application/json", {}).get("schema", {})
    expected = "a schema for the answer: it says what type comes back"
    require(set(schema) - {"title"}, did, expected, f"the schema {schema}", PING)
