"""The faults that broke the talk's design, one test each, done to the runner for real.

What has to hold: never two kernels at work, the status tells the truth, the old run's record ends,
and a start is possible again within one lease.
"""

import json
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import nbformat
import psutil
import pytest
import sqlalchemy as sa
import yaml
from redis import Redis

from kit.workspace import ROOT
from tests.e2e.conftest import Gate
from tests.e2e.frozen_proxy import freeze_at
from tests.e2e.runner import (
    Runner,
    is_dead,
    kill_worker,
    send_message,
    start_runner,
    wait_until,
    worker_processes,
    write_notebook,
)

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

LEASE = 6.0  # seconds; with half of it, a busy machine has not always claimed a run in time
SHORT = {"LEASE_SECONDS": str(LEASE)}
SLACK = 5.0  # seconds on top, for a machine that is busy with something else


@pytest.fixture
def own_gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def start_in_the_end(runner: Runner, within: float) -> str:
    """A start that is accepted within that many seconds; its id."""

    def accepted() -> str | None:
        answer = runner.client.post("/start")
        assert answer.status_code in (202, 409, 503), answer.text
        return str(answer.json()["run_id"]) if answer.status_code == 202 else None

    return wait_until(accepted, "a start to be accepted", within)


def test_01_a_result_that_expires_blocks_nobody(tmp_path: Path, own_gate: Gate) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook) as runner:
        old = runner.run()["run_id"]
        with Redis.from_url(runner.env["REDIS_URL"], decode_responses=True) as redis:
            assert not list(redis.scan_iter("celery-task-meta*"))
            assert redis.delete(f"nb:run:{old}")
        assert runner.client.get(f"/status/{old}").status_code == 404
        assert runner.run()["status"] == "SUCCEEDED"


@pytest.mark.parametrize("who", ["all of it", "its main process"])
def test_02_a_worker_that_dies_leaves_a_lost_run_no_kernel_and_a_free_runner(
    tmp_path: Path, own_gate: Gate, who: str
) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=2, env=SHORT) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        busy = next(w for w in runner.workers if "Executing notebook" in w.output())
        began = time.monotonic()
        if who == "all of it":
            kill_worker(busy)
        else:
            psutil.Process(busy.pid).kill()
        second = start_in_the_end(runner, LEASE + SLACK)
        assert time.monotonic() - began < LEASE + SLACK
        own_gate.open()  # not sooner: what is left of a worker might get to the end in time
        assert runner.status(run_id)["status"] == "LOST"
        assert "fell silent" in runner.status(run_id)["error"]
        # What it had put out is there, unless it had just done so.
        assert runner.client.get(f"/output/{run_id}").text in ("", "before the gate\n")
        runner.wait_for(second, "SUCCEEDED")
        assert runner.status(run_id)["status"] == "LOST"
        # One warm kernel of the worker that is left; the dead one's are gone.
        wait_until(lambda: len(runner.kernels()) == 1, "the dead worker's kernels to be gone", 10)


def test_03_and_04_a_redeploy_in_a_run_ends_it_with_a_reason_and_never_runs_it_again(
    tmp_path: Path, own_gate: Gate
) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        runner.workers[0].signal(signal.SIGTERM)
        run = runner.wait_for(run_id, "FAILED", timeout=LEASE + SLACK)
        assert run["reason"] == "worker_stopped"
        assert run["error"] == (
            "The worker was told to stop in the middle of the run. It was at: Cell 2 of 3."
        )
        assert runner.workers[0].wait(20) == 0
        wait_until(lambda: not runner.kernels(), "kernels to be gone", 5)
        assert runner.client.get(f"/output/{run_id}").text.startswith("before the gate\n")
        own_gate.open()
        new = runner.add_worker()
        assert runner.run()["status"] == "SUCCEEDED"
        assert new.output().count("Executing notebook") == 1
        assert runner.status(run_id) == run


def test_05_a_message_that_comes_twice_or_late_claims_nothing(
    tmp_path: Path, own_gate: Gate
) -> None:
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=2) as runner:
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)

        def refused(times: int) -> None:
            wait_until(
                lambda: (
                    sum(w.output().count("is not to be claimed") for w in runner.workers) == times
                ),
                f"{times} messages to be refused",
                20,
            )

        send_message(runner.env["REDIS_URL"], run_id)
        refused(1)
        own_gate.open()
        run = runner.wait_for(run_id, "SUCCEEDED")
        pools = [process for worker in runner.workers for process in worker_processes(worker)[1:]]
        wait_until(lambda: len(runner.kernels()) == 2, "both kernels to be warm", 20)
        before = sum(pool.num_fds() for pool in pools)
        for late in range(2, 8):
            send_message(runner.env["REDIS_URL"], run_id)
            refused(late)
        assert len(runner.kernels()) == 2, "the warm kernels are still there"
        assert sum(pool.num_fds() for pool in pools) - before < 40, "each left something open"
        assert runner.status(run_id) == run


HOLD_THE_GIL = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("started", flush=True)
sum(range(10**12))  # one long call into C: no other thread of the kernel gets a turn
"""


@pytest.mark.parametrize("ending", ["cancel", "kill"])
def test_06_a_cell_that_holds_the_gil_and_its_subprocess_end_with_the_run(
    tmp_path: Path, ending: str
) -> None:
    notebook = write_notebook(tmp_path / "busy.ipynb", "1", HOLD_THE_GIL)
    with start_runner(tmp_path, notebook=notebook, env=SHORT) as runner:
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
            kill_worker(runner.workers[0])
        wait_until(lambda: is_dead(kernel) and is_dead(child), "both to be dead", LEASE + SLACK)
        runner.wait_for(run_id, "CANCELLED" if ending == "cancel" else "LOST")


def test_07_a_cancel_with_no_worker_up_is_not_forgotten(tmp_path: Path, own_gate: Gate) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook, workers=0) as runner:
        run_id = runner.start()
        answer = runner.client.post("/cancel")
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLED")
        worker = runner.add_worker()
        wait_until(lambda: "is not to be claimed" in worker.output(), "the message to come", 20)
        assert runner.status(run_id)["status"] == "CANCELLED"
        assert runner.run()["status"] == "SUCCEEDED"


def test_08_starts_that_come_together_are_202_or_409_and_never_500(
    tmp_path: Path, own_gate: Gate
) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook, api=2) as runner:
        answers: list[httpx.Response] = []
        with ThreadPoolExecutor(16) as pool:
            for _ in range(4):
                answers += pool.map(lambda _: runner.client.post("/start"), range(32))
                runner.client.post("/cancel")
        assert {answer.status_code for answer in answers} == {202, 409}
        runner.wait_for(runner.client.get("/status").json()["run_id"], "SUCCEEDED", "CANCELLED")


def test_09_and_10_an_api_that_dies_between_admission_and_queueing_blocks_nobody(
    tmp_path: Path, own_gate: Gate
) -> None:
    own_gate.open()
    with start_runner(tmp_path, notebook=own_gate.notebook, env=SHORT) as runner:
        server = runner.stack.redis_server
        assert server
        # LPUSH is how a message gets into the queue; its run has been admitted by then.
        with freeze_at(b"LPUSH\r\n$9\r\nnb:celery", server.port) as proxy:
            through = runner.env | {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
            runner.restart_api(0, through)
            with ThreadPoolExecutor(1) as pool:
                hanging = pool.submit(runner.client.post, "/start")
                assert proxy.frozen.wait(20), "the API never queued anything"
                runner.apis[0].kill()
                with pytest.raises(httpx.HTTPError):
                    hanging.result(timeout=20)
        runner.restart_api(0, runner.env)
        [orphan] = runner.client.get("/runs").json()
        assert orphan["status"] in ("QUEUED", "LOST")
        second = start_in_the_end(runner, LEASE + SLACK)
        assert runner.status(orphan["run_id"])["status"] == "LOST"
        assert "No worker took the run" in runner.status(orphan["run_id"])["error"]
        runner.wait_for(second, "SUCCEEDED")
        assert [r["run_id"] for r in runner.client.get("/runs").json()] == [
            second,
            orphan["run_id"],
        ]


@pytest.mark.parametrize("appendonly", [False, True], ids=["it forgot", "with AOF"])
def test_11_a_run_survives_a_restart_of_redis_and_no_start_comes_in_between(
    tmp_path: Path, own_gate: Gate, appendonly: bool
) -> None:
    env = {"LEASE_SECONDS": "10"}
    gated = own_gate.notebook
    with start_runner(tmp_path, notebook=gated, env=env, appendonly=appendonly) as runner:
        run_id = runner.start(requested_by="ada")
        runner.wait_for_cell(run_id, 1)
        server = runner.stack.redis_server
        assert server
        if appendonly:
            time.sleep(1.1)  # AOF goes to disk once a second
        server.kill()
        began = time.monotonic()
        answer = runner.client.post("/start")
        assert answer.status_code == 503
        assert time.monotonic() - began < 3
        server.start()
        answer = runner.client.post("/start")
        # 503: the grace. 409: the lease survived, or the worker was quicker and has it back.
        assert answer.status_code in (503, 409), answer.text
        wait_until(lambda: runner.client.get(f"/status/{run_id}").is_success, "the record", 10)
        assert runner.client.post("/start").json()["running"] == run_id
        own_gate.open()
        run = runner.wait_for(run_id, "SUCCEEDED")
        assert (run["cells_done"], run["requested_by"]) == (3, "ada")


def test_12_an_id_that_never_was_is_404(tmp_path: Path) -> None:
    with start_runner(tmp_path, workers=0) as runner:
        assert runner.client.get("/status/20260101-000000-abcdef").status_code == 404


def test_13_each_run_gets_a_fresh_notebook_a_fresh_kernel_and_a_newer_token(
    tmp_path: Path,
) -> None:
    notebook = write_notebook(
        tmp_path / "it.ipynb",
        "import os, pathlib; seen = globals().get('seen', 0) + 1; print(seen)",
        "assert not pathlib.Path('break').exists()",
        "print('last cell, run', os.environ['RUN_ID'])",
    )
    deployed = notebook.read_text()
    with start_runner(tmp_path, notebook=notebook) as runner:
        first = runner.run()
        (tmp_path / "break").touch()
        broken = runner.run("FAILED")
        (tmp_path / "break").unlink()
        last = runner.run()
        outputs = [runner.client.get(f"/output/{r['run_id']}").text for r in (first, broken, last)]
        assert outputs[0] == f"1\nlast cell, run {first['run_id']}\n"
        assert "last cell" not in outputs[1], "no output of an earlier run"
        assert outputs[2] == f"1\nlast cell, run {last['run_id']}\n"
        assert first["token"] < broken["token"] < last["token"]
        assert notebook.read_text() == deployed


def with_outputs_of_its_author(notebook: Path) -> None:
    """Save it as Jupyter does: with the outputs of a session, in a cell that is skipped, too."""
    book = nbformat.read(notebook, as_version=4)
    book.metadata["widgets"] = {"of": "the author"}
    book.cells.append(nbformat.v4.new_code_cell("1", metadata={"tags": ["skip-execution"]}))
    for cell in book.cells:
        cell.outputs = [
            nbformat.v4.new_output("stream", text="by the author\n"),
            nbformat.v4.new_output("display_data", {"text/html": "<b>by the author</b>"}),
        ]
        cell.execution_count = 7
        cell.metadata["execution"] = {"shell.execute_reply": "seen by the author"}
    nbformat.write(book, notebook)


def test_13_outputs_that_were_saved_in_the_file_are_not_those_of_a_run(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "it.ipynb",
        "import pathlib, time; print('first')",
        "while pathlib.Path('wait').exists(): time.sleep(0.02)\n"
        "assert not pathlib.Path('break').exists()",
        "print('last')",
    )
    with_outputs_of_its_author(notebook)
    with start_runner(tmp_path, notebook=notebook) as runner:
        succeeded = runner.run()
        (tmp_path / "break").touch()
        failed = runner.run("FAILED")
        (tmp_path / "wait").touch()
        run_id = runner.start()
        runner.wait_for_cell(run_id, 1)
        runner.client.post("/cancel")
        cancelled = runner.wait_for(run_id, "CANCELLED")
        for run, numbers in (
            (succeeded, [1, 2, 3, None]),
            (failed, [1, 2, None, None]),
            (cancelled, [1, 2, None, None]),
        ):
            output = f"/output/{run['run_id']}"
            for form in ("text", "ipynb", "html"):
                answer = runner.client.get(output, params={"format": form}, timeout=90)
                assert answer.status_code == 200
                assert "first" in answer.text
                assert "the author" not in answer.text, (run["status"], form)
            last = "last\n" if run is succeeded else ""
            assert runner.client.get(output, params={"cell": 3}).text == last
            kept = runner.client.get(output, params={"format": "ipynb"}).json()["cells"]
            assert [cell["execution_count"] for cell in kept] == numbers


def test_14_sixty_megabytes_of_output_are_on_disk_and_not_in_redis(tmp_path: Path) -> None:
    notebook = write_notebook(
        tmp_path / "loud.ipynb", "for _ in range(60): print('x' * 1_000_000)", "print('end')"
    )
    env = {"OUTPUT_LIMIT": "70000000"}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        with Redis.from_url(runner.env["REDIS_URL"], decode_responses=True) as redis:
            before: int = redis.info("memory")["used_memory"]
            run = runner.run()
            grown = redis.info("memory")["used_memory"] - before
        assert grown < 2_000_000
        assert len(json.dumps(run)) < 1_000
        api = psutil.Process(runner.apis[0].pid)
        resident = api.memory_info().rss
        with runner.client.stream("GET", f"/output/{run['run_id']}") as answer:
            size = sum(len(part) for part in answer.iter_bytes())
        assert size > 60_000_000
        assert api.memory_info().rss - resident < 20_000_000


def test_15_redis_the_api_and_the_worker_are_separate_services() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {"redis", "postgres", "api", "worker"} <= set(services)


def test_16_nothing_starts_or_ends_a_run_by_get(tmp_path: Path) -> None:
    with start_runner(tmp_path, workers=0) as runner:
        for path in ("/start", "/cancel"):
            for method in ("GET", "HEAD"):
                assert runner.client.request(method, path).status_code == 405
        assert runner.client.get("/runs").json() == []


FENCED_WRITE = """
import os, sqlalchemy as sa
engine = sa.create_engine(os.environ["DATABASE_URL"])
token, run_id = int(os.environ["FENCING_TOKEN"]), os.environ["RUN_ID"]
with engine.begin() as db:
    moved = db.execute(sa.text("UPDATE fence SET token = :t WHERE token <= :t"), {"t": token})
    if moved.rowcount == 0:
        raise RuntimeError("a newer run has written")
    db.execute(sa.text("INSERT INTO results VALUES (:r, :t)"), {"r": run_id, "t": token})
print("written")
"""
WAIT_IN_THE_KERNEL = """
import os, time
from pathlib import Path
Path("at_the_gate_" + os.environ["RUN_ID"]).touch()
while not Path("gate").exists(): time.sleep(0.02)
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_17_a_worker_that_wakes_up_after_its_lease_cannot_write_any_more(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'results.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
        url = url.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE fence (token INTEGER)"))
        db.execute(sa.text("INSERT INTO fence VALUES (0)"))
        db.execute(sa.text("CREATE TABLE results (run_id TEXT, token INTEGER)"))
    notebook = write_notebook(tmp_path / "it.ipynb", WAIT_IN_THE_KERNEL, FENCED_WRITE)
    env = SHORT | {"DATABASE_URL": url}
    with start_runner(tmp_path, notebook=notebook, workers=2, env=env) as runner:
        older = runner.start()
        wait_until((tmp_path / f"at_the_gate_{older}").exists, "the first cell", 30)
        busy = next(w for w in runner.workers if "Executing notebook" in w.output())
        asleep = psutil.Process(busy.pid)
        everything = [*asleep.children(recursive=True), asleep]
        for process in everything:  # the lid of the laptop closes
            process.suspend()
        (tmp_path / "gate").touch()
        newer = start_in_the_end(runner, LEASE + SLACK)
        runner.wait_for(newer, "SUCCEEDED")
        assert runner.status(older)["status"] == "LOST"
        kernels = list(filter(is_kernel, everything))
        assert kernels
        for process in kernels:  # it opens: the kernel first, and a moment to write in
            process.resume()
        wait_until(lambda: all(map(settled, kernels)), "the old kernel to have tried", 20)
        for process in reversed(everything):
            # The guard that has woken up kills its worker, the worker its kernel.
            with suppress(psutil.NoSuchProcess):
                process.resume()
        wait_until(lambda: all(map(is_dead, kernels)), "the old kernel to end", 20)
        with engine.connect() as db:
            rows: Sequence[Any] = db.execute(sa.text("SELECT run_id, token FROM results")).all()
        assert [row.run_id for row in rows] == [newer]
        assert runner.status(older)["status"] == "LOST"
    engine.dispose()


def is_kernel(process: psutil.Process) -> bool:
    """Whether it is a kernel. Its guard has the same words behind its own: it is no kernel."""
    command = process.cmdline()
    return "ipykernel_launcher" in command and "-I" not in command


def settled(process: psutil.Process) -> bool:
    """Whether it has ended, or has nothing left to do."""
    try:
        return process.cpu_percent(interval=0.5) < 2
    except psutil.NoSuchProcess:
        return True


def test_18_a_cell_that_kills_its_kernel_fails_the_run_with_a_reason(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "print('first')", "import os; os._exit(1)")
    with start_runner(tmp_path, notebook=notebook) as runner:
        run = runner.run("FAILED")
        assert "Cell 2 of 2: the kernel died" in run["error"]
        assert runner.client.get(f"/output/{run['run_id']}").text == "first\n"
        assert runner.run("FAILED")["run_id"] != run["run_id"], "start is possible at once"


def test_19_a_cell_that_never_ends_is_stopped_by_cell_timeout(tmp_path: Path) -> None:
    cells = ("print('first', flush=True)", "while True: pass")
    notebook = write_notebook(tmp_path / "it.ipynb", *cells)
    with start_runner(tmp_path, notebook=notebook, env={"CELL_TIMEOUT": "1"}) as runner:
        run = runner.run("FAILED")
        assert run["error"] == "Cell 2 of 2 ran for longer than CELL_TIMEOUT: 1 s."
        assert runner.client.get(f"/output/{run['run_id']}").text == "first\n"


UNUSABLE = {
    "missing": (None, "There is no notebook"),
    "not JSON": ("hello", "it is not JSON"),
    "not a notebook": ('{"cells": 3}', "is not a notebook"),
    "for a kernel that is not there": (
        json.dumps(
            {
                "cells": [],
                "metadata": {"kernelspec": {"name": "cobol", "display_name": "COBOL"}},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        ),
        "wants the kernel 'cobol'",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_20_a_notebook_that_cannot_be_used_is_said_at_start_up_by_ready_and_by_the_run(
    tmp_path: Path, kind: str
) -> None:
    text, words = UNUSABLE[kind]
    notebook = tmp_path / "it.ipynb"
    write_notebook(notebook, "1")
    if text is None:
        notebook.unlink()
    else:
        notebook.write_text(text)
    with start_runner(tmp_path, notebook=notebook) as runner:
        run = runner.run("FAILED")
        assert words in run["error"]
        ready = runner.client.get("/ready")
        assert ready.status_code == 503
        assert words in ready.json()["notebook"]
        assert words in runner.workers[0].output()
        assert words in runner.apis[0].output()
