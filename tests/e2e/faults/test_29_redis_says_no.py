"""Number 29, the other half of Redis: its refusals are answered in words, and never by 500."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from kit.processes.child import Child
from kit.processes.ports import free_port, free_socket
from kit.processes.project import start_api, start_worker
from tests.e2e.runner import PRODUCT, TIMEOUT, Runner, start_runner, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

SLOW = "local n = 0 while true do n = n + 1 end"
PASSWORD = "only-what-it-needs"


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner without a worker."""
    with start_runner(tmp_path_factory.mktemp("runner"), workers=0) as runner:
        yield runner


@contextmanager
def busy(runner: Runner) -> Iterator[None]:
    """Redis executes a script of another program, which does not end."""
    url = runner.env["REDIS_URL"]

    def forever() -> None:
        with Redis.from_url(url, socket_timeout=30) as redis, pytest.raises(Exception):  # noqa: B017
            redis.eval(SLOW, 0)

    thread = threading.Thread(target=forever)
    with Redis.from_url(url) as redis:
        redis.config_set("lua-time-limit", 50)
        thread.start()
        time.sleep(0.3)
        yield
        redis.execute_command("SCRIPT KILL")
    thread.join()


def test_29_a_redis_that_is_busy_is_503_in_words(idle: Runner) -> None:
    with busy(idle):
        answer = idle.client.post("/start")
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "Redis is busy with a script that takes long.",
        )
        assert idle.client.get("/ready").status_code == 503
    assert idle.client.get("/runs").status_code == 200


def test_29_scripts_that_redis_dropped_are_sent_again(idle: Runner) -> None:
    with Redis.from_url(idle.env["REDIS_URL"]) as redis:
        redis.script_flush()
    run_id = idle.start()
    assert idle.client.post("/cancel", params={"run_id": run_id}).status_code == 202


def test_29_a_user_without_info_and_with_our_keys_only_will_do(idle: Runner) -> None:
    with Redis.from_url(idle.env["REDIS_URL"]) as redis:
        rules = ["on", f">{PASSWORD}", "~nb:*", "allchannels", "+@all", "-info", "-@dangerous"]
        redis.execute_command("ACL", "SETUSER", "runner", *rules)
    server = idle.stack.redis_server
    assert server
    env = idle.env | {"REDIS_URL": f"redis://runner:{PASSWORD}@127.0.0.1:{server.port}/0"}
    idle.restart_api(0, env)
    worker = start_worker(idle.stack, PRODUCT, 0, env)
    try:
        wait_until(lambda: idle.client.get("/ready").status_code == 200, "ready", TIMEOUT)
        assert idle.run()["status"] == "SUCCEEDED"
        assert "NOPERM" not in worker.output()
    finally:
        worker.stop()
        idle.restart_api(0, idle.env)


@pytest.mark.parametrize("lacking", ["-@scripting", "-scan"])
def test_29_what_redis_does_not_allow_is_told_by_ready(idle: Runner, lacking: str) -> None:
    with Redis.from_url(idle.env["REDIS_URL"]) as redis:
        rules = ["reset", "on", f">{PASSWORD}", "~*", "&*", "+@all", lacking]
        redis.execute_command("ACL", "SETUSER", "runner", *rules)
    server = idle.stack.redis_server
    assert server
    url = f"redis://runner:{PASSWORD}@127.0.0.1:{server.port}/0"
    idle.restart_api(0, idle.env | {"REDIS_URL": url})
    try:
        answer = idle.client.get("/ready")
        assert answer.status_code == 503
        assert "a user who may not do what the runner needs" in answer.json()["redis"]
    finally:
        idle.restart_api(0, idle.env)


def test_29_a_policy_that_evicts_is_told_by_ready(idle: Runner) -> None:
    with Redis.from_url(idle.env["REDIS_URL"]) as redis:
        redis.config_set("maxmemory-policy", "volatile-lru")
        assert "remark" not in idle.client.get("/ready").json(), "its memory is never full"
        redis.config_set("maxmemory", "1gb")
        assert "volatile-lru" in idle.client.get("/ready").json()["remark"]
        redis.config_set("maxmemory-policy", "noeviction")
        assert "remark" not in idle.client.get("/ready").json()


def refused(start: Callable[[], Child], *words: str) -> None:
    """It ends by itself, and its log has these words and no traceback."""
    child = start()
    wait_until(lambda: not child.running, f"{child.name} to end", TIMEOUT)
    for word in words:
        assert word in child.output(), child.output()
    assert "Traceback" not in child.output(), child.output()


def test_29_a_wrong_certificate_rule_is_refused_at_start(idle: Runner) -> None:
    env = idle.env | {"REDIS_URL": "rediss://127.0.0.1:6390/0?ssl_cert_reqs=maybe"}
    with free_socket() as sock:
        refused(lambda: start_api(idle.stack, PRODUCT, 5, sock, env), "REDIS_URL is")


def test_29_a_redis_cluster_is_refused_at_start(idle: Runner, tmp_path: Path) -> None:
    port = free_port()
    options = ["--port", str(port), "--cluster-enabled", "yes", "--dir", str(tmp_path)]
    cluster = subprocess.Popen(["redis-server", *options, "--save", ""], stdout=subprocess.DEVNULL)
    env = idle.env | {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    try:
        with Redis(port=port) as redis, free_socket() as sock:
            wait_until(lambda: _answers(redis), "the cluster's node", TIMEOUT)
            words = "a node of a Redis Cluster"
            refused(lambda: start_api(idle.stack, PRODUCT, 6, sock, env), words)
            refused(lambda: start_worker(idle.stack, PRODUCT, 6, env), words)
    finally:
        cluster.kill()
        cluster.wait()


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.info())
    except Exception:
        return False
