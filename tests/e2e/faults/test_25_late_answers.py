"""Number 25: an answer that comes late, and a cancel that does."""

import pytest

from tests.e2e.conftest import Gate
from tests.e2e.frozen_proxy import freeze_at
from tests.e2e.runner import Runner

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


def test_25_a_cancel_that_names_its_run_does_not_end_the_next_one(
    runner: Runner, gate: Gate
) -> None:
    gate.open()
    ended = runner.run()["run_id"]
    gate.close()
    running = runner.start()
    runner.wait_for_cell(running, 1)
    late = runner.client.post("/cancel", params={"run_id": ended})
    assert (late.status_code, late.json()["running"]) == (409, running)
    assert ended in late.json()["detail"]
    assert not runner.status(running)["cancel_requested"]
    assert runner.client.post("/cancel", params={"run_id": ""}).status_code == 422
    meant = runner.client.post("/cancel", params={"run_id": running})
    assert (meant.status_code, meant.json()["run_id"]) == (202, running)
    runner.wait_for(running, "CANCELLED")
    nothing = runner.client.post("/cancel", params={"run_id": running})
    assert (nothing.status_code, nothing.json()["detail"]) == (409, "Nothing is running.")


def test_25_a_start_whose_answers_never_come_does_not_say_that_nothing_was_started(
    runner: Runner, gate: Gate
) -> None:
    """The message is in the queue, and a worker claims the run while the API waits."""
    gate.close()
    server = runner.stack.redis_server
    assert server
    with freeze_at(b"LPUSH\r\n$9\r\nnb:celery", server.port, answers_only=True) as proxy:
        through = runner.env | {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        runner.restart_api(0, through)
        answer = runner.client.post("/start")
        assert proxy.frozen.is_set()
    runner.restart_api(0, runner.env)
    [newest, *_] = runner.client.get("/runs").json()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "nothing was started" not in answer.json()["detail"]
    assert f"GET /status/{newest['run_id']}" in answer.json()["detail"]
    gate.open()
    runner.wait_for(newest["run_id"], "SUCCEEDED")
