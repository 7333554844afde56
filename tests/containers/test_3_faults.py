"""Each service is killed, stopped, cut off and started again, and a run says how it ended."""

import time

import httpx
import pytest

from tests.containers.stack import LONG, Stack
from tests.e2e.runner import ENDED, wait_until

pytestmark = pytest.mark.containers
ENDLESS = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)"


def running(stack: Stack) -> str:
    """A run that is in its cell, and stays there."""
    stack.todo(ENDLESS)
    run_id = stack.start()
    stack.wait_for(run_id, "RUNNING")
    wait_until(lambda: "begun" in stack.output({"run_id": run_id}), "the cell to begin", LONG)
    return run_id


def test_one_run_at_a_time_with_events_output_cancel_and_metrics(stack: Stack) -> None:
    run_id = running(stack)
    second = stack.client.post("/start")
    assert second.status_code == 409
    assert second.json()["running"] == run_id
    with stack.client.stream("GET", f"/status/{run_id}/events") as events:
        lines = events.iter_lines()
        first = next(line for line in lines if line.startswith("data:"))
        assert run_id in first
        assert stack.client.post("/cancel").status_code == 202
        assert '"CANCELLED"' in "".join(lines)
    metrics = stack.client.get("/metrics").text
    assert 'nb_runner_runs_total{status="CANCELLED"}' in metrics
    assert "nb_runner_workers 1.0" in metrics


def test_a_worker_that_is_killed_comes_back_and_its_run_is_lost(stack: Stack) -> None:
    run_id = running(stack)
    stack.compose("kill", "worker")
    assert stack.wait_for(run_id, *ENDED)["status"] == "LOST"
    stack.up()
    assert stack.run("print('again')")["status"] == "SUCCEEDED"


def test_a_worker_that_is_told_to_stop_says_so_in_the_run(stack: Stack) -> None:
    run_id = running(stack)
    stack.compose("stop", "worker")
    run = stack.wait_for(run_id, *ENDED)
    assert run["status"] == "FAILED"
    assert run["reason"] == "worker_stopped", run
    assert stack.inspect("worker")["State"]["ExitCode"] == 0


def test_a_worker_that_is_paused_loses_its_run_and_comes_back(stack: Stack) -> None:
    run_id = running(stack)
    stack.compose("pause", "worker")
    try:
        assert stack.wait_for(run_id, *ENDED)["status"] == "LOST"
    finally:
        stack.compose("unpause", "worker")
    stack.wait_ready()
    assert stack.run("print('again')")["status"] == "SUCCEEDED"


def test_a_redis_that_starts_again_has_forgotten_nothing(stack: Stack) -> None:
    run_id = running(stack)
    before = stack.client.get("/runs").json()
    time.sleep(1.5)  # appendfsync everysec
    stack.compose("restart", "redis")
    stack.wait_for(run_id, "RUNNING")
    after = stack.client.get("/runs").json()
    assert [run["run_id"] for run in after] == [run["run_id"] for run in before]
    assert stack.client.post("/start").status_code == 409


def test_a_redis_that_is_paused_makes_the_api_say_so(stack: Stack) -> None:
    stack.compose("pause", "redis")
    try:
        answer = stack.client.post("/start")
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
    finally:
        stack.compose("unpause", "redis")
    stack.wait_ready()
    assert stack.run("print('again')")["status"] == "SUCCEEDED"


def test_a_worker_that_is_cut_off_ends_its_run_before_another_one_begins(stack: Stack) -> None:
    run_id = running(stack)
    network = f"{stack.name}_data"
    worker = stack.container("worker")
    stack.docker("network", "disconnect", network, worker)
    try:
        assert stack.wait_for(run_id, *ENDED)["status"] == "LOST"
        kernels = stack.docker("exec", worker, "python", "-c", KERNELS_IN_A_CELL)
        assert kernels == "0"
    finally:
        stack.docker("network", "connect", network, worker)
    stack.wait_ready()
    assert stack.run("print('again')")["status"] == "SUCCEEDED"


# How many processes have a folder of a run in their environment: a warm kernel has none.
KERNELS_IN_A_CELL = """
from pathlib import Path
environments = (p / "environ" for p in Path("/proc").iterdir() if p.name.isdigit())
found = 0
for file in environments:
    try:
        found += b"FENCING_TOKEN=" in file.read_bytes()
    except OSError:
        pass
print(found)
"""


def test_a_database_that_is_away_is_said_by_ready(stack: Stack) -> None:
    stack.compose("stop", "postgres")
    wait_until(
        lambda: "DATABASE_URL" in str(stack.client.get("/ready").json().get("database")),
        "/ready to tell of the database",
        LONG,
    )
    stack.up()
    assert stack.run("print('again')")["status"] == "SUCCEEDED"


def test_an_open_stream_of_events_does_not_hold_the_api_up(stack: Stack) -> None:
    run_id = running(stack)
    with stack.client.stream("GET", f"/status/{run_id}/events") as events:
        assert events.is_success
        stack.compose("stop", "api")
    logs = stack.compose("logs", "--no-color", "api")
    assert "timeout graceful shutdown exceeded" not in logs, "uvicorn had to cut it off"
    assert "Traceback" not in logs
    # 143 is how the engine writes "ended by SIGTERM".
    assert stack.inspect("api")["State"]["ExitCode"] in (0, 143)


def test_what_runs_leave_in_tmp_goes_with_them(stack: Stack) -> None:
    """Three times four hundred megabytes do not fit into the gigabyte of /tmp."""
    leaves = """
import tempfile
with tempfile.NamedTemporaryFile(delete=False) as file:
    for _ in range(400):
        file.write(bytes(1_000_000))
"""
    ends = [stack.run(leaves)["status"] for _ in range(3)]
    assert ends == ["SUCCEEDED"] * 3


def test_ready_says_when_no_temporary_file_can_be_written(stack: Stack) -> None:
    fill = "head --bytes 2G /dev/zero >/tmp/full || true"
    stack.inside("worker", "sh", "-c", fill)
    try:
        wait_until(
            lambda: "/tmp" in str(stack.client.get("/ready").json().get("temporary")),
            "/ready to tell of /tmp",
            LONG,
        )
    finally:
        stack.inside("worker", "rm", "/tmp/full")
    stack.wait_ready()


def test_a_write_beside_the_notebook_fails_and_the_error_names_output_dir(stack: Stack) -> None:
    run = stack.run("open('out.csv', 'w')")
    assert run["status"] == "FAILED"
    assert "OUTPUT_DIR" in run["error"]
    run = stack.run("import os; open(os.environ['OUTPUT_DIR'] + '/out.csv', 'w').write('1')")
    assert run["status"] == "SUCCEEDED"
    assert stack.client.get(f"/output/{run['run_id']}/files/out.csv").text == "1"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LEASE_SECONDS", "1", "LEASE_SECONDS"),
        ("RUNNER_API_KEY", "short", "at least 8 characters"),
        ("KEEP_RUNS", "none", "KEEP_RUNS"),
    ],
)
def test_a_wrong_setting_is_named_in_the_log(
    stack: Stack, name: str, value: str, words: str
) -> None:
    stack.setting(**{name: value})
    try:
        stack.compose("up", "--detach", "--no-deps", "api")
        wait_until(
            lambda: words in stack.compose("logs", "--no-color", "api"), f"{words} in the log", LONG
        )
    finally:
        stack.setting(**{name: ""})


def test_a_key_is_asked_for_where_there_is_one(stack: Stack) -> None:
    stack.setting(RUNNER_API_KEY="open sesame")
    try:
        stack.up()
        assert stack.client.post("/start").status_code == 401
        with httpx.Client(base_url=stack.client.base_url, trust_env=False) as other:
            answer = other.get("/runs", headers={"X-API-Key": "open sesame"})
            assert answer.is_success
    finally:
        stack.setting(RUNNER_API_KEY="")
