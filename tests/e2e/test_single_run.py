"""Never twice at once, whatever happens: admission, claim, lease, and what ends a run."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from kit.course import catalogue
from kit.processes.stack import Stack
from tests.e2e.conftest import Gate
from tests.e2e.runner import TIMEOUT, is_dead, start_runner, wait_until, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.longest]

LEASE = 6.0  # seconds; with half of it, a busy machine has not always claimed a run in time
SLACK = 5.0  # seconds on top, for a machine that is busy with something else


@pytest.fixture
def own_gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_of_200_starts_at_once_on_two_apis_and_two_workers_one_is_accepted(
    tmp_path: Path, own_gate: Gate
) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook, api=2, workers=2) as runner:
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: runner.client.post("/start"), range(200)))
        codes = [answer.status_code for answer in answers]
        assert codes.count(202) == 1
        assert codes.count(409) == 199
        accepted = next(a.json()["run_id"] for a in answers if a.status_code == 202)
        assert {a.json()["running"] for a in answers if a.status_code == 409} == {accepted}
        for api in runner.apis:
            assert "POST /start" in api.output(), f"{api.name} got none of them"
        own_gate.open()
        runner.wait_for(accepted, "SUCCEEDED")
        assert len(list(runner.artifacts.iterdir())) == 1


def test_a_run_that_no_worker_takes_is_lost_when_its_lease_ends(
    tmp_path: Path, own_gate: Gate
) -> None:
    own_gate.open()
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=0, env=env) as runner:
        assert "No worker" in runner.client.get("/ready").json()["worker"]
        first = runner.start()
        assert runner.status(first)["status"] == "QUEUED"
        lost = runner.wait_for(first, "LOST")
        assert "No worker took the run" in lost["error"]
        runner.add_worker()
        # Its kernel is up before it takes a message, and on a busy machine that takes long.
        wait_until(lambda: runner.client.get("/ready").is_success or None, "a worker", TIMEOUT)
        again = runner.run()
        assert again["run_id"] != first
        assert runner.status(first)["status"] == "LOST", "its message came too late to run"


def test_a_worker_cut_off_from_redis_stops_itself_before_its_lease_ends(
    tmp_path: Path, own_gate: Gate
) -> None:
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(tmp_path, notebook=own_gate.notebook, env=env) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        [busy] = runner.kernels()
        server = runner.stack.redis_server
        assert server and server.child
        server.child.signal(signal.SIGSTOP)
        try:
            wait_until(lambda: is_dead(busy), "the kernel to end with its lease", LEASE + SLACK)
            says = runner.workers[0].output
            wait_until(lambda: "Redis did not answer" in says(), "the worker to say why", SLACK)
            answer = runner.client.post("/start")
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
        finally:
            server.child.signal(signal.SIGCONT)
        runner.wait_for(run_id, "LOST")


def test_after_a_restart_of_redis_an_idle_runner_waits_one_lease_then_starts(
    tmp_path: Path, own_gate: Gate
) -> None:
    own_gate.open()
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(tmp_path, notebook=own_gate.notebook, env=env) as runner:
        server = runner.stack.redis_server
        assert server
        server.kill()
        server.start()
        answer = runner.client.post("/start")
        assert answer.status_code == 503
        assert "restarted" in answer.json()["detail"]
        assert 1 <= int(answer.headers["Retry-After"]) <= LEASE + 1
        wait_until(lambda: runner.client.post("/start").status_code == 202, "grace to end", 20)


def test_a_cancel_is_heard_at_whatever_moment_it_comes(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "endless.ipynb", "import time", "time.sleep(600)")
    with start_runner(tmp_path, notebook=notebook) as runner:
        for moment in range(12):
            run_id = runner.start()
            time.sleep(moment * 0.008)  # queued, claimed, its kernel taken, its first cell, …
            assert runner.client.post("/cancel").status_code == 202
            runner.wait_for(run_id, "CANCELLED", timeout=2 + SLACK)


@pytest.mark.usefixtures("unforked")
def test_stopping_leaves_no_process(tmp_path: Path, own_gate: Gate) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook, api=2, workers=2) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        assert len(runner.mark.processes()) > 6
    assert runner.mark.commands() == []


def test_redis_holds_no_more_than_the_last_runs(tmp_path: Path, own_gate: Gate) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook, env={"KEEP_RUNS": "2"}) as runner:
        (runner.artifacts / "0-not-ours").mkdir(parents=True)
        ids = [runner.run()["run_id"] for _ in range(4)]
        with Redis.from_url(runner.env["REDIS_URL"], decode_responses=True) as redis:
            assert sorted(redis.scan_iter("nb:run:*")) == [
                f"nb:run:{run}" for run in sorted(ids[-2:])
            ]
        kept = sorted(path.name for path in runner.artifacts.iterdir())
        assert kept == ["0-not-ours", *sorted(ids[-2:])]
        assert runner.client.get(f"/status/{ids[0]}").status_code == 404


END_TWICE = """
import asyncio
from nb_runner import lease, runs
from nb_runner.outcome import SUCCEEDED

async def main():
    first = await runs.admit(None)
    held = lease.claim(first.run_id, "a worker", None)
    print(held.release(SUCCEEDED, 1))
    second = await runs.admit(None)
    print(held.release(SUCCEEDED, 1))
    print((await runs.get(first.run_id)).status, (await runs.get(second.run_id)).status)

asyncio.run(main())
"""
LATE_ANSWER = """
import asyncio
import threading
import time
from nb_runner import lease, runs

class Cells:
    def beat(self):
        print("beat")

    def stop(self):
        print("stop")

run = asyncio.run(runs.admit(None))
held = lease.claim(run.run_id, "a worker", None)
renew = held.renew
held.renew = lambda: (time.sleep(2.1), renew())[1]  # LEASE_SECONDS is 3
with lease.Heartbeat(held, threading.Event(), Cells()) as heart:
    heart._thread.join(20)
    print(heart.order.name)
"""


def said_by(code: str, folder: Path, **env: str) -> list[str]:
    """The words that this code prints, in a process of the product with a Redis of its own."""
    with Stack(folder / "stack") as stack:
        settings = {"REDIS_URL": stack.redis(), "NOTEBOOK_PATH": str(folder / "n.ipynb"), **env}
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=catalogue.product().solution,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()


def test_an_end_that_is_sent_twice_is_no_loss_though_another_run_has_begun(tmp_path: Path) -> None:
    assert said_by(END_TWICE, tmp_path) == ["True", "True", "SUCCEEDED", "QUEUED"]


def test_an_answer_that_comes_after_the_guard_has_given_up_is_a_silence(tmp_path: Path) -> None:
    assert said_by(LATE_ANSWER, tmp_path, LEASE_SECONDS="3") == ["stop", "SILENCE"]
