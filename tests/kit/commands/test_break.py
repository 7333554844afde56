"""`./workshop break`, against a `./workshop run` of a small project."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from kit.workspace import ROOT
from tests.support.processes import eventually
from tests.support.run_command import RunCommand, Start, look, make_project, starting

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

SLEEP = """

@app.task(name="nap")
def nap(file: str) -> None:
    import pathlib
    import time

    pathlib.Path(file).touch()
    time.sleep(600)
"""
NAP = """

@app.post("/nap")
def begin(file: str) -> None:
    from nb_runner.tasks import nap

    nap.delay(file)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "small project")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as start:
        yield start


def workshop(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`break`, which looks where `run` in that folder keeps its state."""
    state = {"WORKSHOP_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kit", "break", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | state, capture_output=True, text=True, timeout=120
    )


def known(folder: Path) -> dict[str, int]:
    """The processes that `run` has made known: pids by name."""
    told = json.loads((folder / "state" / "running.json").read_text())
    return {name: process["pid"] for name, process in told["processes"].items()}


def nap(url: str, file: Path) -> None:
    """Start a task that does not end, and wait until it is at work."""
    httpx.post(f"{url}/nap", params={"file": str(file)}, trust_env=False).raise_for_status()
    eventually(file.exists, "the task to begin")


def give_it_naps(project: Path) -> None:
    for name, more in (("tasks.py", SLEEP), ("main.py", NAP)):
        file = project / "nb_runner" / name
        file.write_text(file.read_text() + more)


def test_worker_kills_the_one_at_work_and_run_starts_it_again(
    start: Start, project: Path, tmp_path: Path
) -> None:
    give_it_naps(project)
    run = start("--path", project, "--workers", "2")
    url = run.ready()
    nap(url, tmp_path / "napping")
    before = known(tmp_path)
    family = {
        name: {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
        for name, pid in before.items()
    }
    done = workshop(tmp_path, "worker")
    assert (done.returncode, done.stderr) == (0, "")
    [hit] = [name for name in ("worker-1", "worker-2") if f"SIGKILL for {name}" in done.stdout]
    spared = {"worker-1": "worker-2", "worker-2": "worker-1"}[hit]
    log = next((tmp_path / "state" / "logs").glob(f"*/{hit}.log")).read_text()
    assert "received" in log
    assert f"curl {url}/status" in done.stdout
    eventually(lambda: not any(map(psutil.pid_exists, family[hit])), "it and its pool to be gone")
    assert all(map(psutil.pid_exists, family[spared]))
    run.wait_for(f"{hit} died: killed by SIGKILL")
    run.wait_for(f"{hit} started again")
    after = known(tmp_path)
    assert after[hit] == run.pids(hit)[-1] != before[hit]
    assert after[spared] == before[spared]


def test_redis_is_killed_and_comes_back_empty(start: Start, project: Path, tmp_path: Path) -> None:
    run = start("--path", project)
    url = run.ready()
    before = known(tmp_path)["redis"]
    done = workshop(tmp_path, "redis")
    assert done.returncode == 0, done.stderr
    assert f"SIGKILL for redis (pid {before})" in done.stdout
    run.wait_for("redis started again")
    eventually(lambda: known(tmp_path)["redis"] != before, "the new one to be known")
    assert look(url, "HOME")["worker"] == os.environ["HOME"]


def test_a_redis_that_is_not_ours_is_left_alone(
    start: Start, project: Path, tmp_path: Path
) -> None:
    theirs = start("--path", project)
    theirs.ready()
    [pid] = [it for name, it in known(tmp_path).items() if name == "redis"]
    port = psutil.Process(pid).net_connections()[0].laddr.port
    other = tmp_path / "other"
    other.mkdir()
    with starting(other) as start_other:
        run = start_other("--path", project, REDIS_URL=f"redis://default:hush@127.0.0.1:{port}/0")
        run.ready()
        assert "hush" not in run.text
        assert "hush" not in (other / "state" / "running.json").read_text()
        done = workshop(other, "redis")
    assert done.returncode == 2
    assert "is not ours to kill" in done.stderr
    assert "unset REDIS_URL" in done.stderr
    assert psutil.pid_exists(pid)


def states(pid: int) -> set[str]:
    process = psutil.Process(pid)
    return {each.status() for each in [process, *process.children(recursive=True)]}


def paused(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    state = {"WORKSHOP_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kit", "break", "pause", *arguments]
    return subprocess.Popen(command, env=os.environ | state, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM])
def test_a_paused_worker_stands_still_with_all_its_children_and_wakes_up(
    start: Start, project: Path, tmp_path: Path, number: int | None
) -> None:
    run = start("--path", project)
    url = run.ready()
    worker = known(tmp_path)["worker-1"]
    with paused(tmp_path, *(["--seconds", "3"] if number is None else [])) as process:
        eventually(lambda: states(worker) == {psutil.STATUS_STOPPED}, "the worker to stand still")
        assert len(psutil.Process(worker).children(recursive=True)) > 0
        assert process.stdout is not None
        said = ""
        while "/start" not in said:  # the last line before it waits
            line = process.stdout.readline()
            assert line, said
            said += line
        if number is not None:
            process.send_signal(number)
        said += process.communicate(timeout=60)[0]
        assert process.returncode == (0 if number is None else 130)
    eventually(lambda: psutil.STATUS_STOPPED not in states(worker), "the worker to wake up")
    assert ("3 s" if number is None else "20 s") in said  # the lease of 15 s, and 5 more
    assert look(url, "HOME")["worker"] == os.environ["HOME"]


def test_the_pause_is_longer_than_the_lease_that_is_set(
    start: Start, project: Path, tmp_path: Path
) -> None:
    start("--path", project, LEASE_SECONDS="2").ready()
    with paused(tmp_path) as process:
        said = process.communicate(timeout=60)[0]
    assert "stand still for 7 s" in said


def test_nothing_running_is_said_and_what_to_type(
    start: Start, project: Path, tmp_path: Path
) -> None:
    def assert_nothing_is_running() -> None:
        done = workshop(tmp_path, "worker")
        assert done.returncode == 2
        assert "nothing is running here" in done.stderr
        assert "Try: ./workshop run 12" in done.stderr

    assert_nothing_is_running()
    file = tmp_path / "state" / "running.json"
    run: RunCommand = start("--path", project)
    run.ready()
    assert file.exists()
    run.process.send_signal(signal.SIGINT)
    assert run.exit_code() == 0
    assert not file.exists()
    run = start("--path", project)
    run.ready()
    run.process.kill()
    run.process.wait()
    assert file.exists()  # stale: no process was left to remove it
    assert_nothing_is_running()
    file.write_text("{")
    assert_nothing_is_running()


def test_a_project_without_a_worker_has_none_to_break(
    start: Start, project: Path, tmp_path: Path
) -> None:
    start("--path", project, "--workers", "0").ready()
    for fault in ("worker", "pause"):
        done = workshop(tmp_path, fault)
        assert done.returncode == 2
        assert "without a worker" in done.stderr


def test_an_unknown_fault_names_those_there_are(tmp_path: Path) -> None:
    done = workshop(tmp_path, "everything")
    assert done.returncode == 2
    assert "worker" in done.stderr
    assert "pause" in done.stderr
