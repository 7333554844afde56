"""Exercise 03: requests are validated, answers leave out what is only kept, statuses are right."""

import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from kit.grading.api import Answer, Api, curl
from kit.grading.programs.kept import ADDRESS
from kit.grading.programs.start import Program
from kit.grading.submission import Submission
from kit.grading.texts import require_own_detail
from kit.verdicts import values
from kit.verdicts.failure import Wrong, require
from kit.verdicts.values import Kind

START = "nb_runner/main.py: start()"
BODY = "nb_runner/main.py: StartRequest, the body of start()"
STATUS = "nb_runner/main.py: status()"
RUNS = "nb_runner/main.py: recent()"
COARSEST_TIME = 1.5  # seconds; a time may have whole seconds only
OUR_ADDRESS = "127.0.0.1"  # the address of the client: the grader


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up()


@pytest.mark.task("3.1")
def test_a_start_is_accepted_and_gives_a_run(api: Api) -> None:
    answer = api.post("/start").expect(202, "it is asked for, and not done yet", START)
    first = run_id(answer, START)
    queued = answer.field("queued", START)
    try:
        datetime.fromisoformat(queued)
    except (TypeError, ValueError):
        answer.wrong("the time of the start as text, such as 2026-11-22T13:49:30Z", START)
    again = api.post("/start").expect(202, "the second start is answered as the first", START)
    if run_id(again, START) == first:
        again.wrong(f"a run_id of its own for each run: {first!r} was the run before", START)


@pytest.mark.task("3.1")
def test_each_run_has_its_own_time(api: Api) -> None:
    first = api.post("/start").expect(202, "as before", START).field("queued", START)
    deadline = time.monotonic() + COARSEST_TIME
    while True:
        answer = api.post("/start").expect(202, "as before", START)
        if answer.field("queued", START) != first:
            return
        if time.monotonic() > deadline:
            answer.wrong(f"the time of this start: {first!r} was the run before", START)
        time.sleep(0.05)


@pytest.mark.task("3.1")
def test_get_start_does_not_start_a_run(api: Api) -> None:
    answer = api.get("/start")
    if answer.status < 400:
        answer.wrong("405 Method Not Allowed: a client that only looks must not start a run", START)


@pytest.mark.task("3.2")
def test_requested_by_comes_back(api: Api) -> None:
    name = values.unique("ada", 3)
    bodies = [None, {}, {"requested_by": name}, {"requested_by": None}]
    for body in bodies:
        expected = body.get("requested_by") if body else None
        is_null = bool(body) and expected is None
        why = "requested_by may be null" if is_null else "this body is as it should be"
        answer = api.post("/start", body).expect(202, why, BODY)
        if answer.field("requested_by", START) != expected:
            sent = "null" if expected is None else f'"{expected}"'
            answer.wrong(f'"requested_by": {sent}, as it was sent', START)


@pytest.mark.task("3.2")
def test_a_body_within_its_bounds_is_accepted(api: Api) -> None:
    for body in (
        {"requested_by": "a"},
        {"requested_by": "a" * 100},
        {"seconds": 0, "rows": 0},
        {"seconds": 0.5, "rows": 5},
        {"seconds": 600, "rows": 1_000_000},
    ):
        api.post("/start", body).expect(202, "this is still within bounds", BODY)


@pytest.mark.task("3.2")
def test_a_body_out_of_its_bounds_is_refused(api: Api) -> None:
    for body, why in (
        ({"requested_by": ""}, "requested_by has 1 to 100 characters"),
        ({"requested_by": "a" * 101}, "requested_by has 1 to 100 characters"),
        ({"requested_by": ["ada"]}, "requested_by is text"),
        ({"seconds": -1}, "seconds are 0 to 600"),
        ({"seconds": 601}, "seconds are 0 to 600"),
        ({"seconds": "soon"}, "seconds are a number"),
        ({"rows": -1}, "rows are 0 to 1000000"),
        ({"rows": 1_000_001}, "rows are 0 to 1000000"),
        ({"rows": 1.5}, "rows are a whole number"),
        (["ada"], "the body is an object"),
    ):
        api.post("/start", body).expect(422, why, BODY)


@pytest.mark.task("3.2")
def test_the_documentation_has_the_defaults(api: Api) -> None:
    document = api.openapi()
    call = document.get("paths", {}).get("/start", {}).get("post", {})
    defaults = {
        name: field.get("default")
        for name, field in fields(document, call.get("requestBody"))
        if isinstance(field, dict)
    }
    for name, expected in (("seconds", 1), ("rows", 100)):
        if defaults.get(name) != expected:
            did = f"open http://{OUR_ADDRESS}:8000/docs and unfold POST /start"
            got = f"{name}: {defaults.get(name, 'not a field of the body')}"
            raise Wrong(did, f"a body in which {name} is {expected} by default", got, BODY)


@pytest.mark.task("3.3")
def test_a_run_is_there_to_look_at(api: Api) -> None:
    begun = api.post("/start", {"requested_by": "ada"}).expect(202, "as before", START)
    name = run_id(begun, START)
    answer = api.get(f"/status/{name}").expect(200, "POST /start gave this run_id", STATUS)
    for field in ("run_id", "requested_by", "queued"):
        if answer.field(field, STATUS) != begun.field(field, START):
            answer.wrong(f"the run as POST /start gave it: {begun.text}", STATUS)


@pytest.mark.task("3.3")
def test_an_unknown_run_is_not_found(api: Api) -> None:
    for name in (values.note(Kind.NAME, secrets.token_hex(4)), "x" * 40):
        answer = api.get(f"/status/{name}").expect(404, "nobody started such a run", STATUS)
        require_own_detail(answer, "which run is not known?", STATUS)


@pytest.mark.task("3.3")
def test_what_cannot_be_a_run_id_is_refused(api: Api) -> None:
    answer = api.get(f"/status/{'x' * 41}")
    answer.expect(422, "a run_id has 40 characters at most", STATUS)


@pytest.mark.task("3.4")
def test_answers_leave_out_the_client_address(api: Api) -> None:
    begun = api.post("/start", {"requested_by": "ada"}).expect(202, "as before", START)
    seen = api.get(f"/status/{run_id(begun, START)}").expect(200, "as before", STATUS)
    for answer, where in ((begun, START), (seen, STATUS)):
        require_no_client_address(answer, answer.object(where), where)


@pytest.mark.task("3.4")
def test_the_documentation_has_the_schema_of_the_answer(api: Api) -> None:
    document = api.openapi()
    require_documented(document, "post", "/start", START)
    require_documented(document, "get", "/status/{", STATUS)


@pytest.mark.task("3.4")
def test_the_client_address_is_kept(submission: Submission) -> None:
    did = f"{curl('POST', '/start')}   # sent from {ADDRESS}, and then looked into the API's memory"
    expected = f'the run, kept with a field `client` that says "{ADDRESS}"'
    found = Program(submission, "kept").result(did, expected, START)
    got = f"{found['status']}, and nothing that nb_runner keeps has a field `client` with it"
    require(found["kept"], did, expected, got, START)


@pytest.mark.task("3.5")
def test_the_last_runs_come_newest_first(api: Api) -> None:
    begun = [api.post("/start").expect(202, "as before", START) for _ in range(12)]
    newest = [run_id(answer, START) for answer in reversed(begun)]
    for path, count in (("/runs", 10), ("/runs?limit=1", 1), ("/runs?limit=12", 12)):
        answer = api.get(path).expect(200, "the last runs", RUNS)
        names = ids(answer)
        if len(names) != count:
            got = f"{answer.status}, and {len(names)} runs"
            answer.wrong(f"{count} runs (more were started)", RUNS, got)
        require_newest(answer, names, newest[:count])
    most = api.get("/runs?limit=100").expect(200, "100 is still within bounds", RUNS)
    require_newest(most, ids(most)[:12], newest)


@pytest.mark.task("3.5")
def test_the_documentation_has_the_schema_of_the_list(api: Api) -> None:
    require_documented(api.openapi(), "get", "/runs", RUNS)


@pytest.mark.task("3.5")
def test_the_number_of_runs_has_bounds(api: Api) -> None:
    for limit in ("0", "-1", "101", "many"):
        answer = api.get(f"/runs?limit={limit}")
        answer.expect(422, "limit is a whole number from 1 to 100", RUNS)


def run_id(answer: Answer, where: str) -> str:
    """The run_id in an answer."""
    name = answer.field("run_id", where)
    if not isinstance(name, str) or not 0 < len(name) <= 40:
        answer.wrong("a run_id that is text, of 1 to 40 characters", where)
    if not name.isascii() or set("/?#% ") & set(name):
        answer.wrong("a run_id that can stand in a path as it is", where)
    return str(name)


def ids(answer: Answer) -> list[Any]:
    """The run_ids of a list of runs."""
    runs = answer.json(RUNS)
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        answer.wrong("a JSON list of runs", RUNS)
    for run in runs:
        require_no_client_address(answer, run, RUNS)
    return [run.get("run_id") for run in runs]


def require_newest(answer: Answer, names: list[Any], newest: list[str]) -> None:
    """Raise Wrong unless these are the newest run_ids, in that order."""
    if names != newest:
        got = f"{answer.status}, and the run_ids {first_of(names)}"
        answer.wrong(f"the newest runs, and the newest first: {first_of(newest)}", RUNS, got)


def first_of(names: list[Any]) -> str:
    """The first three names, as text."""
    return ", ".join(map(str, names[:3])) + (", …" if len(names) > 3 else "")


def require_no_client_address(answer: Answer, run: dict[str, Any], where: str) -> None:
    """Raise Wrong if a run in an answer has the address of its client."""
    if "client" in run or OUR_ADDRESS in run.values():
        answer.wrong("a run without `client`: no caller may see the address", where)


def require_documented(document: dict[str, Any], method: str, path: str, where: str) -> None:
    """Raise Wrong unless the documentation has the fields of an answer, and no `client`."""
    did = f"open http://{OUR_ADDRESS}:8000/docs and unfold {method.upper()} {path.rstrip('{')}"
    names = {name for name, _ in fields(document, success_responses(document, method, path))}
    if "run_id" not in names:
        got = f"fields {', '.join(sorted(names))}" if names else "nothing that says so"
        raise Wrong(did, "a schema of the answer, with run_id in it", got, where)
    if "client" in names:
        expected = "an answer without `client`, in the documentation too"
        raise Wrong(did, expected, f"fields {', '.join(sorted(names))}", where)


def success_responses(document: dict[str, Any], method: str, path: str) -> Any:
    """What OpenAPI says of the 2xx answers of a call. `path` may end with "{" for any parameter."""
    for name, calls in document.get("paths", {}).items():
        if name == path or (path.endswith("{") and name.startswith(path)):
            responses = calls.get(method, {}).get("responses", {})
            return [good for code, good in responses.items() if code.startswith("2")]
    return []


def fields(
    document: dict[str, Any], schema: Any, seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """All fields in a schema and in the schemas that it refers to, by their names."""
    if isinstance(schema, list):
        for each in schema:
            yield from fields(document, each, seen)
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        named = document.get("components", {}).get("schemas", {}).get(reference.split("/")[-1])
        yield from fields(document, named, (*seen, reference))
    for key, each in schema.items():
        if key == "properties" and isinstance(each, dict):
            yield from each.items()
        yield from fields(document, each, seen)
