"""Tests of the API, in one process with it: no server, no port."""

from fastapi.testclient import TestClient

from nb_runner.main import app

client = TestClient(app)


def test_ping_answers_pong() -> None:
    answer = client.get("/ping")
    assert answer.status_code == 200
    assert answer.json() == "pong"
