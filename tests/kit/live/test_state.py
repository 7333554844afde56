"""What the pages are told: of each task, and only to pages of this server."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from kit.checking import latest
from kit.checking.job import follow, give_up, job
from kit.course import catalogue
from kit.live.app import learner_app
from kit.live.state import ExerciseState, state
from kit.site.server import serving_both
from tests.support.learner import Learner

pytestmark = pytest.mark.slow

HELLO = "01-hello"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def hello(learner: Learner, set_workspace: Callable[..., None]) -> Callable[[], ExerciseState]:
    """What is known of the first exercise of the learner's course."""
    set_workspace(course=learner.home, state=learner.state)
    exercises = catalogue.load()
    return lambda: state(exercises)[0]


@pytest.fixture
def address(
    learner: Learner, hello: Callable[[], ExerciseState], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A server that knows the learner."""
    monkeypatch.setattr("kit.site.handbook.up_to_date", lambda stack: learner.home)
    monkeypatch.setattr("kit.site.slides.up_to_date", lambda stack: learner.home)
    with serving_both(learner_app(catalogue.load()), 0) as address:
        yield f"{address}here/"


def states(told: ExerciseState) -> list[str]:
    return [task["state"] for task in told["tasks"]]


def test_a_check_is_told_task_by_task(learner: Learner, hello: Callable[[], ExerciseState]) -> None:
    assert (hello()["state"], hello()["current"], states(hello())) == (
        "not started",
        True,
        ["", ""],
    )
    learner.run("check", "1")
    told = hello()
    assert (told["state"], states(told)) == ("started", ["failed", "not_reached"])
    failed, waiting = told["tasks"]
    assert "<dt>Look at</dt>" in failed["told"] and "nb_runner/main.py" in failed["told"]
    assert waiting["told"] == ""
    learner.run("hint", "1.1")
    assert [task["hints"] for task in hello()["tasks"]] == [1, 0]
    learner.solve(HELLO)
    learner.run("check", "1")
    told = hello()
    assert (told["state"], states(told)) == ("passed", ["passed", "passed"])
    learner.file(HELLO).write_text("app = None\n")
    assert hello()["state"] == "check again"
    learner.run("reset", HELLO)
    told = hello()
    assert (told["state"], states(told), told["at"]) == ("started", ["", ""], 0)


def test_a_check_under_way_is_told(learner: Learner, hello: Callable[[], ExerciseState]) -> None:
    learner.run("check", "1")
    exercise = catalogue.load()[0]
    checked = job(exercise, exercise.work)
    follow(checked, [("1.1", True)])
    assert hello()["checking"] and states(hello()) == ["passed", "not_reached"]
    file = latest.folder() / f"{HELLO}.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "pid": 2**22 + 1}))  # more than a system has
    assert not hello()["checking"], "the process that checked was killed"
    follow(checked, [("1.1", True)])
    give_up(checked)
    assert not hello()["checking"] and states(hello()) == ["failed", "not_reached"]
    file.write_text("{}[")
    assert states(hello()) == ["", ""]


def test_what_a_submission_says_is_escaped(
    learner: Learner, hello: Callable[[], ExerciseState]
) -> None:
    learner.run("reset", HELLO)
    learner.file(HELLO).write_text("raise RuntimeError('<script>alert(1)</script>')\n")
    learner.run("check", "1")
    told = hello()["tasks"][0]["told"]
    assert "&lt;script&gt;" in told and "<script>" not in told


def test_only_pages_of_this_server_are_answered(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as client:
        answer = client.get("state")
        assert answer.json()[0]["slug"] == HELLO
        assert "access-control-allow-origin" not in answer.headers
        for path in ("state", "events", "here.js"):
            assert client.get(path, headers={"Host": "evil.example"}).status_code == 400
        assert client.get("app.py").status_code == 404
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            assert client.post("hints/1.1", headers=headers).status_code == 403
        rebound = {**SAME_ORIGIN, "Host": "evil.example"}
        assert client.post("hints/1.1", headers=rebound).status_code == 400
        assert client.post("hints/9.9", headers=SAME_ORIGIN).status_code == 404
        assert client.get("state").json()[0]["tasks"][0]["hints"] == 0
        assert client.post("hints/1.1", headers=SAME_ORIGIN).status_code == 204
        assert client.get("state").json()[0]["tasks"][0]["hints"] == 1


def test_each_change_is_an_event(learner: Learner, address: str) -> None:
    with httpx.stream("GET", f"{address}events", trust_env=False, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in answer.iter_lines() if line)
        assert '"hints": 0' in next(lines)
        learner.run("hint", "1.1")
        assert '"hints": 1' in next(lines)
