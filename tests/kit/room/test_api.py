"""What the room takes from attendees, and what it refuses. No attendee harms another."""

import contextlib
import csv
import io
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from kit.course import catalogue
from kit.room import attendees, connections
from kit.room.board import api, summary
from kit.room.board.state import minute_of_agenda
from kit.room.security import LARGEST_BODY, Limit
from kit.room.store import Store
from tests.support.rooms import Room, fill, served_room, verdict

pytestmark = pytest.mark.slow

HELLO = catalogue.find("2")
RUDE = "=<b>1\u202e"  # to a spreadsheet a formula, to a page an element, and it turns the text


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A room of its own, whose limits know nothing of other tests."""
    monkeypatch.setattr(attendees, "WRONG_CODE_LIMIT", Limit(5, 60))
    monkeypatch.setattr(attendees, "EVENT_LIMIT", Limit(60, 600))
    monkeypatch.setattr(api, "WRONG_SECRET_LIMIT", Limit(5, 60))
    with served_room(tmp_path) as room:
        yield room


@dataclass
class Caller:
    """Calls the room, each time on a connection of its own."""

    address: str
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.address}{path}", headers=self.headers, **more)


def joined(room: Room, name: str) -> Caller:
    answer = join(room, name, room.store.setting("code"))
    assert answer.status_code == 200, answer.text
    return Caller(room.address, {"Authorization": f"Bearer {answer.json()['token']}"})


def at_board(room: Room) -> Caller:
    board = Caller(room.address)
    answer = board("POST", "/board/enter", json={"secret": room.store.setting("secret")})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    return Caller(room.address, {"Cookie": cookie.partition(";")[0]})


def join(room: Room, name: str, code: str) -> httpx.Response:
    return httpx.post(f"{room.address}/room/join", json={"code": code, "name": name})


def told(done: int, seq: int = 1) -> dict[str, object]:
    return {"sent_at": 0, "events": [{**verdict(HELLO, done, seq).model_dump(), "at": 0}]}


def test_who_guesses_the_code_has_to_wait_and_the_secret_is_another_one(room: Room) -> None:
    right = room.store.setting("code")
    wrong = f"{(int(right) + 1) % 10**6:06}"
    assert [join(room, "Eve", wrong).status_code for _ in range(6)] == [403] * 5 + [429]
    refused = join(room, "Ada", right)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) <= 61
    board = Caller(room.address)
    assert board("POST", "/board/enter", json={"secret": right}).status_code == 403
    for path in ("events", "summary.md", "summary.csv"):
        assert board("GET", f"/board/{path}").status_code == 403, path
    assert board("POST", "/board/pace", json={"now": HELLO.slug}).status_code == 403
    assert right not in board("GET", "/board").text


def test_an_attendee_has_one_row_that_no_other_can_write_and_that_leaving_deletes(
    room: Room, tmp_path: Path
) -> None:
    ada, bob = joined(room, "Ada"), joined(room, "Bob")
    assert join(room, " aDA ", room.store.setting("code")).status_code == 409
    assert join(room, RUDE, room.store.setting("code")).status_code == 409
    assert ada("POST", "/room/events", json=told(2)).status_code == 200
    assert bob("POST", "/room/events", json=told(0)).status_code == 200
    # The same event again, and an older one, change nothing.
    assert ada("POST", "/room/events", json=told(0)).status_code == 200
    of_ada, of_bob = room.store.attendees()
    assert [each.tasks["2.1"] for each in of_ada.standings] == ["passed"]
    assert [each.tasks["2.1"] for each in of_bob.standings] == ["failed"]
    assert httpx.delete(f"{room.address}/room/me").status_code == 401
    assert ada("DELETE", "/room/me").status_code == 200
    assert ada("POST", "/room/events", json=told(2, 2)).status_code == 401
    room.store.close()  # which also writes what SQLite has kept beside the file
    assert [each.name for each in room.store.attendees()] == ["Bob"]
    assert not any(b"Ada" in file.read_bytes() for file in tmp_path.glob("room.sqlite"))


def test_garbage_is_refused(room: Room) -> None:
    ada = joined(room, "Ada")

    def refused(body: bytes) -> set[int]:
        pieces = (piece for piece in [body])  # sent without a length
        return {
            ada("POST", "/room/events", content=content).status_code for content in (body, pieces)
        }

    assert refused(b"garbage") == {422}
    assert refused(b'{"sent_at": NaN, "events": []}') == {422}
    assert refused(b'{"sent_at": "\\ud800", "events": []}') == {422}
    assert refused(b'{"sent_at": 1e400, "events": []}') == {422}
    assert refused(b'{"sent_at": 1, "events": [{"kind": "verdict", "output": "x"}]}') == {422}
    assert refused(b"[" * LARGEST_BODY) <= {400, 422}
    assert refused(b" " * (LARGEST_BODY + 1)) <= {400, 413}
    assert ada("GET", "/room/pace").status_code == 200
    assert room.store.attendees()[0].standings == []


def test_the_next_exercise_is_the_one_of_the_rooms_track(room: Room) -> None:
    ada = joined(room, "Ada")

    def after(marked: str) -> str:
        room.store.remember(now=marked)
        return str(ada("GET", "/room/pace").json()["next"])

    assert after("") == ""
    assert after("02-hello-fastapi") == "05-celery-task"
    assert after("07-one-at-a-time") == "10-run-the-notebook"
    assert after("10-run-the-notebook") == ""


def test_connections_that_ask_for_nothing_keep_nobody_out(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_OF_ONE", 3)
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    host, _, port = room.address.removeprefix("http://").partition(":")
    begun = (b"", b"GET / HT", b"POST /room/join HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", b"", b"")
    with contextlib.ExitStack() as stack:
        for request in begun:
            link = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            stack.callback(closed, link)
            link.sendall(request)
    with httpx.Client(base_url=room.address) as client:
        assert client.get("/board").status_code == 200


def closed(link: socket.socket) -> None:
    """Wait until the room has closed it; fails when it does not."""
    with contextlib.suppress(ConnectionError):
        assert link.recv(1) == b""


def test_ten_thousand_events_are_one_row_and_too_many_requests_have_to_wait(room: Room) -> None:
    ada, bob = joined(room, "Ada"), joined(room, "Bob")
    codes = set()
    one = {**verdict(HELLO, 2, 1).model_dump(), "at": 0}
    for request in range(100):
        events = [{**one, "seq": request * 100 + i + 1} for i in range(100)]
        codes.add(ada("POST", "/room/events", json={"sent_at": 0, "events": events}).status_code)
    assert codes == {200, 429}
    assert bob("POST", "/room/events", json=told(1)).status_code == 200
    assert [len(each.standings) for each in room.store.attendees()] == [1, 1]


def test_a_room_that_comes_back_knows_all(tmp_path: Path) -> None:
    with served_room(tmp_path) as room:
        fill(room.store, ("Ada", "Bob"))
        code, before = room.store.setting("code"), summary.as_csv(*all_attendees(room.store))
    with served_room(tmp_path) as room:
        assert room.store.setting("code") == code
        assert summary.as_csv(*all_attendees(room.store)) == before
        joined(room, "Carl")


def all_attendees(store: Store) -> tuple[list, list]:  # type: ignore[type-arg]
    return store.attendees(), catalogue.load()


def test_the_summary_says_how_far_all_are_and_what_was_not_met(room: Room) -> None:
    joined(room, "=1|*2*")
    board = at_board(room)
    empty = board("GET", "/board/summary.md").text
    assert empty.endswith("\n\n1 attendee.\n\nNobody has checked an exercise.\n")
    fill(room.store, ("Ada", "Bob"))
    text = board("GET", "/board/summary.md").text
    assert "| 02 Hello, FastAPI | 2 | 2 | 7 | 3 |" in text
    assert "5.2 The worker does the task, known by its name, 1 of them: " in text
    assert "| =1\\|\\*2\\* |" in text
    rows = list(csv.DictReader(io.StringIO(board("GET", "/board/summary.csv").text)))
    assert rows[0] == {
        "name": "Ada", "exercise": "02-hello-fastapi", "passed": "4", "tasks": "4",
        "checks": "3", "minutes": "7",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "now", "minute"),
    [
        ("18:30", "09:00", 9 * 60),
        ("18:30", "20:00", 20 * 60),
        ("23:00", "00:30", 24 * 60 + 30),
        ("00:10", "23:50", 23 * 60 + 50),
    ],
)
def test_an_evening_may_go_on_past_midnight(start: str, now: str, minute: float) -> None:
    began = time.strptime(start, "%H:%M")
    told = minute_of_agenda(began.tm_hour * 60 + began.tm_min, time.strptime(now, "%H:%M"))
    assert told == minute
