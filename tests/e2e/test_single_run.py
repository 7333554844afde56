"""Never twice at once, whatever happens: admission, claim, lease, and what ends a run."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from celery import Celery
from redis import Redis

from kit.stack import wait_until
from tests.e2e.conftest import Gate
from tests.e2e.runner import is_dead, start_runner, write_notebook

LEASE = 3.0  # seconds


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


def test_a_message_that_comes_twice_or_late_claims_nothing(tmp_path: Path, own_gate: Gate) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=2) as runner:
        broker = Celery(broker=runner.env["REDIS_URL"])
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)

        def refused() -> int:
            return sum(w.output().count("is not to be claimed") for w in runner.workers)

        broker.send_task("nb_runner.run_notebook", args=[run_id])
        wait_until(lambda: refused() == 1, "the duplicate to be refused", 20)
        own_gate.open()
        run = runner.wait_for(run_id, "SUCCEEDED")
        broker.send_task("nb_runner.run_notebook", args=[run_id])
        wait_until(lambda: refused() == 2, "the late message to be refused", 20)
        assert runner.status(run_id) == run
        broker.close()


def test_a_killed_worker_leaves_a_lost_run_no_kernel_and_a_free_runner(
    tmp_path: Path, own_gate: Gate
) -> None:
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(tmp_path, notebook=own_gate.notebook, env=env) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        worker = psutil.Process(runner.workers[0].pid)
        for process in [worker, *worker.children()]:
            process.kill()
        wait_until(lambda: not runner.kernels(), "the kernel to die with its worker", 5)

        lost = runner.wait_for(run_id, "LOST", timeout=LEASE + 5)
        assert "fell silent" in lost["error"]
        runner.add_worker()
        own_gate.open()
        runner.run()
        assert runner.status(run_id)["status"] == "LOST"
        assert runner.client.get(f"/output/{run_id}").status_code == 404


def test_a_run_that_no_worker_takes_is_lost_when_its_lease_ends(
    tmp_path: Path, own_gate: Gate
) -> None:
    own_gate.open()
    env = {"LEASE_SECONDS": "1"}
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=0, env=env) as runner:
        assert "No worker" in runner.client.get("/ready").json()["worker"]
        first = runner.start()
        assert runner.status(first)["status"] == "QUEUED"
        lost = runner.wait_for(first, "LOST")
        assert "No worker took the run" in lost["error"]
        runner.add_worker()
        again = runner.run()
        assert again["run_id"] != first
        assert runner.status(first)["status"] == "LOST", "its message came too late to run"


def test_cancelling_with_no_worker_up_ends_the_run_for_good(tmp_path: Path, own_gate: Gate) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=0) as runner:
        run_id = runner.start()
        answer = runner.client.post("/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLED")
        worker = runner.add_worker()
        wait_until(lambda: "is not to be claimed" in worker.output(), "the message to come", 20)
        assert runner.status(run_id)["status"] == "CANCELLED"
        assert runner.run()["status"] == "SUCCEEDED"


HOLD_THE_GIL = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("started", flush=True)
sum(range(10**12))  # one long call into C: no other thread of the kernel gets a turn
"""


@pytest.mark.parametrize("ending", ["cancel", "kill"])
def test_a_cell_that_holds_the_gil_and_its_subprocess_end_with_the_run(
    tmp_path: Path, ending: str
) -> None:
    notebook = write_notebook(tmp_path / "busy.ipynb", "1", HOLD_THE_GIL)
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run_id = runner.start()

        def subprocess_of_the_cell() -> psutil.Process | None:
            found = [p for k in runner.kernels() for p in k.children()]
            return found[0] if found else None

        child = wait_until(subprocess_of_the_cell, "the cell to start its subprocess", 30)
        kernel = child.parent()
        assert kernel
        if ending == "cancel":
            runner.client.post("/cancel")
        else:
            worker = psutil.Process(runner.workers[0].pid)
            for process in [worker, *worker.children()]:
                process.kill()
        wait_until(lambda: is_dead(kernel) and is_dead(child), "both to be dead", 2)
        runner.wait_for(run_id, "CANCELLED" if ending == "cancel" else "LOST")


def test_a_worker_that_is_told_to_stop_ends_its_run_and_says_so(
    tmp_path: Path, own_gate: Gate
) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        runner.workers[0].signal(signal.SIGTERM)
        run = runner.wait_for(run_id, "FAILED")
        assert "The worker was told to stop" in run["error"]
        assert runner.workers[0].wait(20) == 0
        wait_until(lambda: not runner.kernels(), "kernels to be gone", 5)
        assert runner.client.get(f"/output/{run_id}").text == "before the gate\n"


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
            wait_until(lambda: is_dead(busy), "the kernel to end with its lease", LEASE + 5)
            assert "Redis did not answer" in runner.workers[0].output()
            answer = runner.client.post("/start")
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
        finally:
            server.child.signal(signal.SIGCONT)
        runner.wait_for(run_id, "LOST")


def test_a_run_survives_a_redis_that_forgets_and_no_start_comes_in_between(
    tmp_path: Path, own_gate: Gate
) -> None:
    env = {"LEASE_SECONDS": "10"}
    with start_runner(tmp_path, notebook=own_gate.notebook, env=env) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        server = runner.stack.redis_server
        assert server
        server.kill()
        assert runner.client.post("/start").status_code == 503
        server.start()
        answer = runner.client.post("/start")
        # 503: the grace. 409: the worker was quicker and has its lease back.
        assert answer.status_code in (503, 409), answer.text
        wait_until(lambda: runner.client.get(f"/status/{run_id}").is_success, "the record", 10)
        assert runner.client.post("/start").json()["running"] == run_id
        own_gate.open()
        assert runner.wait_for(run_id, "SUCCEEDED")["cells_done"] == 3


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
        assert 1 <= int(answer.headers["Retry-After"]) <= LEASE
        wait_until(lambda: runner.client.post("/start").status_code == 202, "grace to end", 20)


def test_stopping_leaves_no_process(tmp_path: Path, own_gate: Gate) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook, api=2, workers=2) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        assert len(runner.mark.processes()) > 6
    assert runner.mark.commands() == []


def test_redis_holds_no_more_than_the_last_runs(tmp_path: Path, own_gate: Gate) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook, env={"KEEP_RUNS": "2"}) as runner:
        ids = [runner.run()["run_id"] for _ in range(4)]
        with Redis.from_url(runner.env["REDIS_URL"], decode_responses=True) as redis:
            assert sorted(redis.scan_iter("nb:run:*")) == [f"nb:run:{run}" for run in ids[-2:]]
        assert sorted(path.name for path in runner.artifacts.iterdir()) == ids[-2:]
        assert runner.client.get(f"/status/{ids[0]}").status_code == 404


def test_time_to_wait_after_a_kill_is_bounded_by_the_lease(tmp_path: Path, own_gate: Gate) -> None:
    own_gate.open()
    env = {"LEASE_SECONDS": str(LEASE)}
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=2, env=env) as runner:
        own_gate.close()
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        busy = next(w for w in runner.workers if "Executing notebook" in w.output())
        started = time.monotonic()
        for process in [psutil.Process(busy.pid), *psutil.Process(busy.pid).children()]:
            process.kill()
        own_gate.open()
        accepted = wait_until(
            lambda: (a := runner.client.post("/start")).status_code == 202 and a.json(), "202", 30
        )
        assert time.monotonic() - started < LEASE + 5  # wide: the machine may be busy
        assert runner.wait_for(accepted["run_id"], "SUCCEEDED")
