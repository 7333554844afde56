"""Number 25: an answer that comes late, and a cancel that does."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Gate
from tests.e2e.frozen_proxy import freeze_at
from tests.e2e.runner import Runner, start_runner

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

QUEUES = b"LPUSH\r\n$9\r\nnb:celery"


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
    with freeze_at(QUEUES, server.port, answers_only=True) as proxy:
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


def test_25_a_start_that_is_taken_back_costs_no_older_run(tmp_path: Path) -> None:
    """Its message does not get to the queue. Redis answers all that the API asks besides."""
    with start_runner(tmp_path, env={"KEEP_RUNS": "2"}) as runner:
        ids = [runner.run()["run_id"] for _ in range(2)]
        server = runner.stack.redis_server
        assert server
        with freeze_at(QUEUES, server.port, one_connection=True) as proxy:
            through = runner.env | {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
            runner.restart_api(0, through)
            answer = runner.client.post("/start")
            assert proxy.frozen.is_set()
            assert answer.status_code == 503
            assert "nothing was started" in answer.json()["detail"]
            listed = [run["run_id"] for run in runner.client.get("/runs").json()]
        assert listed == ids[::-1]
        runner.restart_api(0, runner.env)
        newest = runner.run()["run_id"]
        listed = [run["run_id"] for run in runner.client.get("/runs").json()]
        assert listed == [newest, ids[1]]
        assert runner.client.get(f"/status/{ids[0]}").status_code == 404
