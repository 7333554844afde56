"""The wrong lock at the start of exercise 07: a worker that dies never releases it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from kit.processes.child import wait_until
from kit.processes.forkserver import ForkServer
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.stack import Stack
from kit.workspace import ROOT

pytestmark = pytest.mark.slow

WRONG = Project(ROOT / "exercises" / "07-one-at-a-time" / "wrong")


@pytest.fixture
def stack(tmp_path: Path, fork_server: ForkServer | None) -> Iterator[Stack]:
    clean = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    client = fork_server.client if fork_server else None
    with Stack(tmp_path, clean, fork_server=client) as stack:
        yield stack


def test_after_the_worker_was_killed_every_start_is_refused_for_ever(stack: Stack) -> None:
    redis_url = stack.redis()
    env = project_env(stack.env, redis_url=redis_url, state=stack.state)
    with free_socket() as sock:
        api, worker = start_api(stack, WRONG, 1, sock, env), start_worker(stack, WRONG, 1, env)
        wait_for_api(api, sock)
        wait_for_worker(worker)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:

            def lock() -> str:
                return str(client.get("/status").json()["lock"])

            # While the worker lives, the lock is released after each run.
            assert lock() == "free"
            assert client.post("/start", json={"seconds": 0}).status_code == 202
            wait_until(lambda: lock() == "free", "the lock to be released", 30)

            started = worker.output().count("at work")
            assert client.post("/start", json={"seconds": 600}).status_code == 202
            wait_until(lambda: worker.output().count("at work") > started, "the run to begin", 30)
            assert client.post("/start").status_code == 409
            worker.signal(signal.SIGKILL)
            worker.wait(30)

            another = start_worker(stack, WRONG, 2, env)
            wait_for_worker(another)
            assert client.post("/start").status_code == 409
            assert lock() == "taken"
            assert "at work" not in another.output(), "nothing runs"
    with Redis.from_url(redis_url) as redis:
        assert redis.ttl("wrong:lock") == -1, "and nothing will ever open it"
