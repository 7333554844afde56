"""Number 26: a connection that dies in silence, and what LOST tells of the likely cause."""

from pathlib import Path

import pytest
from redis import Redis

from kit.processes.project import start_worker, wait_for_worker
from tests.e2e.conftest import Gate
from tests.e2e.frozen_proxy import freeze_at
from tests.e2e.runner import PRODUCT, TIMEOUT, kill_worker, start_runner, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

NEVER = b"no message has these words"


def wait_for_blocked(redis: Redis, count: int) -> None:
    """Wait until that many clients of Redis wait for a message."""
    wait_until(
        lambda: redis.info("clients")["blocked_clients"] == count,
        f"{count} clients to wait for a message",
        TIMEOUT,
    )


def test_26_a_worker_whose_idle_connections_died_takes_the_next_run(
    tmp_path: Path, gate: Gate
) -> None:
    gate.open()
    env = {"LEASE_SECONDS": "30"}
    with start_runner(tmp_path, notebook=gate.notebook, workers=0, env=env) as runner:
        server = runner.stack.redis_server
        assert server
        with freeze_at(NEVER, server.port) as proxy, Redis(port=server.port) as redis:
            through = runner.env | {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
            worker = start_worker(runner.stack, PRODUCT, 0, through)
            runner.workers.append(worker)
            wait_for_worker(worker)
            runner.run()
            wait_for_blocked(redis, 1)  # the worker is idle: it waits for a message again
            proxy.forget()
            # Until then, Redis would give a message to the connection that is none any more.
            wait_for_blocked(redis, 0)
            run = runner.run()
            assert run["status"] == "SUCCEEDED"


def test_26_lost_tells_what_is_likely(tmp_path: Path, gate: Gate) -> None:
    gate.close()
    env = {"LEASE_SECONDS": "6"}
    with start_runner(tmp_path, notebook=gate.notebook, workers=0, env=env) as runner:
        run = runner.run("LOST")
        assert (run["reason"], "is one up?" in run["error"]) == ("no_worker", True)
        worker = runner.add_worker()
        # The message of the run before is gone once the worker has logged it.
        wait_until(lambda: "is not to be claimed" in worker.output(), "the worker", TIMEOUT)
        running = runner.start()
        runner.wait_for_cell(running, 1)
        kill_worker(worker)
        run = runner.wait_for(running, "LOST")
        assert run["reason"] == "worker_lost"
