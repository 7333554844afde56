"""The small programs that chapters show do what the chapters say."""

from datetime import datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from docs.examples import clock, library


def test_the_clock_tells_the_time() -> None:
    client = TestClient(clock.app)
    answer = client.get("/time")
    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json()).utcoffset() == timedelta(0)


def test_the_library_shows_books_without_their_price() -> None:
    client = TestClient(library.app)
    dune, emma = {"title": "Dune", "pages": 412}, {"title": "Emma", "pages": 100}
    assert client.get("/shelves/A").json() == [dune, emma]
    assert client.get("/shelves/A?pages=200").json() == [emma]
    assert "price" not in client.get("/openapi.json").text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/shelves/B", 404), ("/shelves/ABC", 422), ("/shelves/A?pages=0", 422)],
)
def test_the_library_refuses_what_it_does_not_have_or_know(path: str, status: int) -> None:
    assert TestClient(library.app).get(path).status_code == status
