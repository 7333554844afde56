"""Number 27: two runners on one Redis, and another Celery application beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from celery import Celery
from redis import Redis

from kit.processes.ports import free_socket
from kit.processes.project import start_api, start_worker, wait_for_api, wait_for_worker
from tests.e2e.conftest import Gate
from tests.e2e.runner import PRODUCT, TIMEOUT, Runner, wait_until, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@contextmanager
def second_runner(first: Runner, namespace: str, notebook: Path) -> Iterator[Runner]:
    """An API process and a worker on the Redis of the first runner."""
    own = {"NAMESPACE": namespace, "NOTEBOOK_PATH": str(notebook)}
    env = first.env | own | {"ARTIFACTS_DIR": str(notebook.parent / "artifacts")}
    with free_socket() as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            second = Runner(first.stack, env, client, sock, first.mark)
            second.apis = [start_api(first.stack, PRODUCT, 8, sock, env)]
            second.workers = [start_worker(first.stack, PRODUCT, 8, env)]
            wait_for_api(second.apis[0], sock)
            wait_for_worker(second.workers[0])
            yield second
            for child in (*second.apis, *second.workers):
                child.stop()


def test_27_two_runners_and_another_application_on_one_redis_do_not_meet(
    runner: Runner, gate: Gate, tmp_path: Path
) -> None:
    notebook = write_notebook(tmp_path / "other.ipynb", "print('the other one')")
    url = runner.env["REDIS_URL"]
    with (
        second_runner(runner, "reports", notebook) as second,
        Redis.from_url(url, decode_responses=True) as redis,
        Celery(broker=url) as foreign,
    ):
        foreign.send_task("somebody.elses", args=[1])
        running = runner.start()
        runner.wait_for_cell(running, 1)
        beside = second.run()
        assert second.client.get(f"/output/{beside['run_id']}").text == "the other one\n"
        assert second.client.get("/runs").json() == [beside], "it knows of its own runs only"
        assert second.client.post("/cancel").status_code == 409
        assert redis.llen("celery") == 1, "nobody has taken what is not theirs"
        assert second.client.get("/ready").status_code == 200
        prefixes = ("nb:", "reports:", "celery", "_kombu.")  # the last two: the other application's
        assert [key for key in redis.scan_iter() if not key.startswith(prefixes)] == []
        gate.open()
        runner.wait_for(running, "SUCCEEDED")
        redis.delete("celery")


def test_27_another_runner_in_the_same_namespace_is_reported(
    runner: Runner, tmp_path: Path
) -> None:
    notebook = write_notebook(tmp_path / "other.ipynb", "print('the other one')")
    with second_runner(runner, "nb", notebook) as second:

        def told() -> str | None:
            words = str(runner.client.get("/ready").json()["worker"])
            return words if "NAMESPACE" in words else None

        words = wait_until(told, "/ready to tell", TIMEOUT)
        assert "gated.ipynb" in words and "other.ipynb" in words
        # The other one takes the message. (A worker that only stands still could be given it: what
        # it has asked Redis for lasts a second.)
        runner.workers[0].stop()
        try:
            run = runner.run("FAILED")
        finally:
            runner.replace_worker(0)
        assert run["reason"] == "namespace_shared"
        assert "NAMESPACE" in run["error"]
        assert not (second.artifacts / run["run_id"]).exists(), "it has executed nothing"
