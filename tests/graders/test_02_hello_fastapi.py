"""Exercise 02: an app, GET /ping, and documentation that comes from the code."""

import json
from typing import Any

import pytest

from kit.grading.api import Api
from kit.grading.programs.own_tests import AS_IT_IS, WRONG
from kit.grading.programs.start import Program
from kit.grading.submission import Submission
from kit.verdicts.failure import require

WHERE = "nb_runner/main.py: app"
PING = "nb_runner/main.py: ping()"
TEST = "nb_runner/test_main.py"
PYTEST = "../../.venv/bin/python -m pytest"


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up()


@pytest.fixture(scope="module")
def own_tests(submission: Submission, api: Api) -> Any:
    """What came of the project's own tests: with its app as it is, and with wrong answers.

    Without an app that starts, there is nothing to test.
    """
    return Program(submission, "own_tests").result(PYTEST, "the end of your tests", TEST)


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


@pytest.mark.task("2.4")
def test_its_own_test_passes(own_tests: Any) -> None:
    expected = f"a test of your own, in {TEST}, that passes"
    run = own_tests[AS_IT_IS]
    require(run is not None, PYTEST, expected, "pytest ended before its tests did", TEST)
    for name, words in run["failed"].items():
        require(False, PYTEST, expected, f"{name} has failed: {words}", name.split("::")[0])
    require(run["passed"], PYTEST, expected, "pytest has found no test", TEST)


@pytest.mark.task("2.4")
def test_its_own_test_fails_when_the_answer_is_wrong(own_tests: Any) -> None:
    for name, (status, word) in WRONG.items():
        run = own_tests.get(name)
        did = f"{PYTEST}   # while GET /ping answers {status} {json.dumps(word)}"
        expected = 'a test that fails, because only 200 and "pong" are right'
        got = f"{run['passed']} passed, and none has failed" if run else "pytest ended early"
        require(run and run["failed"], did, expected, got, TEST)
