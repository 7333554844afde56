"""A run that is ended before its notebook: the cell that runs gets CANCEL_GRACE seconds."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from tests.e2e.runner import Runner, is_dead, start_runner, wait_until, write_notebook
from tests.e2e.test_failure_modes import HOLD_THE_GIL

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LEASE = 3
LONG = 40  # seconds of grace that no test uses up
SHORT = 2
SOON = 15  # seconds for what takes a moment on an idle machine

# A cell that is at work until it is interrupted, and then needs some seconds to tidy up.
TIDIES_UP = """
import time
open("begun", "w").close()
try:
    time.sleep(600)
finally:
    open("interrupted", "w").close()
    time.sleep({seconds})
    open("tidied", "w").close()
"""
SWALLOWS = """
import time
open("begun", "w").close()
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("enough")
"""
IGNORES = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(child, start_new_session=True)
open("begun", "w").close()
while True: time.sleep(1)
"""
LATER = "open('later', 'w').close()"
FILES = ("begun", "interrupted", "tidied", "later")


def runner_with(folder: Path, **env: str) -> Iterator[Runner]:
    """A runner whose notebook can be replaced between two runs."""
    notebook = write_notebook(folder / "it.ipynb", "1")
    with start_runner(folder, notebook=notebook, env=env) as runner:
        yield runner


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """It gives more time than any test takes."""
    yield from runner_with(tmp_path_factory.mktemp("patient"), CANCEL_GRACE=str(LONG))


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """It gives little time."""
    yield from runner_with(tmp_path_factory.mktemp("brief"), CANCEL_GRACE=str(SHORT))


def begin(runner: Runner, *cells: str) -> str:
    """Start a run of these cells; come back when the one that says so has begun."""
    notebook = Path(runner.env["NOTEBOOK_PATH"])
    for name in FILES:
        (notebook.parent / name).unlink(missing_ok=True)
    write_notebook(notebook.with_suffix(".next"), *cells).replace(notebook)
    run_id = runner.start()
    wait_until(lambda: there(runner, "begun"), "the cell to begin", 60)
    return run_id


def there(runner: Runner, name: str) -> bool:
    """Whether a cell has written that file."""
    return Path(runner.env["NOTEBOOK_PATH"]).with_name(name).exists()


@pytest.fixture
def keen(tmp_path: Path) -> Iterator[Runner]:
    """Its lease is shorter than what a cell has to tidy up. It is there for one run."""
    yield from runner_with(tmp_path, CANCEL_GRACE=str(LONG), LEASE_SECONDS=str(LEASE))


def test_a_cell_ends_in_its_own_way_and_the_run_keeps_its_lease_until_then(keen: Runner) -> None:
    run_id = begin(keen, TIDIES_UP.format(seconds=2 * LEASE), LATER)
    assert keen.client.post("/cancel").json()["cancel_requested"]
    wait_until(lambda: there(keen, "interrupted"), "the interrupt", SOON)
    ends = time.monotonic() + 1.5 * LEASE
    while time.monotonic() < ends:  # longer than a lease that is not renewed
        run = keen.status(run_id)
        assert (run["status"], run["cancel_requested"]) == ("RUNNING", True)
        assert keen.client.post("/start").status_code == 409
        assert keen.client.post("/cancel").status_code == 202, "and changes nothing"
        time.sleep(0.3)
    run = keen.wait_for(run_id, "CANCELLED", timeout=SOON)
    assert there(keen, "tidied")
    assert not there(keen, "later")
    assert (run["reason"], run["error"]) == ("cancelled", "Cancelled. It was at: Cell 1 of 2.")
    assert "KeyboardInterrupt" in keen.client.get(f"/output/{run_id}").text


@pytest.mark.parametrize("cells", [(SWALLOWS,), (SWALLOWS, LATER)])
def test_a_cell_that_swallows_the_interrupt_was_cancelled_all_the_same(
    patient: Runner, cells: tuple[str, ...]
) -> None:
    run_id = begin(patient, *cells)
    patient.client.post("/cancel")
    patient.wait_for(run_id, "CANCELLED", timeout=SOON)
    assert patient.client.get(f"/output/{run_id}").text == "enough\n"
    assert not there(patient, "later")


def test_a_cell_that_awaits_is_interrupted_too(patient: Runner) -> None:
    cell = "import asyncio; open('begun', 'w').close(); await asyncio.sleep(600)"
    run_id = begin(patient, cell)
    patient.client.post("/cancel")
    patient.wait_for(run_id, "CANCELLED", timeout=SOON)


@pytest.fixture
def unhurried(tmp_path: Path) -> Iterator[Runner]:
    """The guard of its kernel waits for a beat longer than the test does: the worker has to act."""
    yield from runner_with(tmp_path, CANCEL_GRACE=str(LONG), LEASE_SECONDS="90")


def test_without_a_lease_there_is_no_grace(unhurried: Runner) -> None:
    begin(unhurried, TIDIES_UP.format(seconds=600))
    kernels = unhurried.kernels()
    unhurried.client.post("/cancel")
    wait_until(lambda: there(unhurried, "interrupted"), "the interrupt", SOON)
    with Redis.from_url(unhurried.env["REDIS_URL"]) as redis:
        redis.set("nb:lease", "0:another")
    wait_until(lambda: all(map(is_dead, kernels)), "the kernel to end", SOON)


def test_a_worker_that_is_told_to_stop_gives_the_same_grace(patient: Runner) -> None:
    run_id = begin(patient, TIDIES_UP.format(seconds=1), LATER)
    patient.workers[0].signal(signal.SIGTERM)
    run = patient.wait_for(run_id, "FAILED", timeout=SOON)
    assert run["reason"] == "worker_stopped"
    assert there(patient, "tidied")
    assert not there(patient, "later")
    assert patient.workers[0].wait(SOON) == 0
    patient.replace_worker(0)


def test_a_run_that_takes_too_long_gets_the_same_grace(tmp_path: Path) -> None:
    env = {"RUN_TIMEOUT": "2", "CANCEL_GRACE": str(LONG)}
    notebook = write_notebook(tmp_path / "it.ipynb", TIDIES_UP.format(seconds=1), LATER)
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        run = runner.run("FAILED")
        assert run["reason"] == "run_timeout"
        assert there(runner, "tidied")
        assert not there(runner, "later")


def test_a_cancel_that_comes_before_the_kernel_is_up_waits_for_nothing(tmp_path: Path) -> None:
    """A kernel that never comes up; the one that is kept warm is another one."""
    spec = tmp_path / "jupyter" / "kernels" / "slow" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["sleep", "600.25"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "slow", "language": "python"}))
    env = {"JUPYTER_PATH": str(tmp_path / "jupyter"), "CANCEL_GRACE": str(LONG)}
    notebook = write_notebook(tmp_path / "it.ipynb", "1")
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        write_notebook(notebook, "1", kernel="slow")
        run_id = runner.start()

        def starts() -> bool:
            return any(process.cmdline() == argv for process in runner.mark.processes())

        wait_until(starts, "the kernel to be started", SOON)
        write_notebook(notebook, "1")  # what is kept warm after the run
        runner.client.post("/cancel")
        run = runner.wait_for(run_id, "CANCELLED", timeout=SOON)
        assert run["cells_done"] == 0


@pytest.mark.parametrize("cell", [TIDIES_UP.format(seconds=600), IGNORES])
def test_a_cell_that_takes_too_long_is_killed_with_its_children(brief: Runner, cell: str) -> None:
    run_id = begin(brief, cell, LATER)
    kernels = brief.kernels()
    tree = [*kernels, *(child for kernel in kernels for child in kernel.children(recursive=True))]
    began = time.monotonic()
    brief.client.post("/cancel")
    brief.wait_for(run_id, "CANCELLED", timeout=SHORT + SOON)
    assert time.monotonic() - began > SHORT * 0.9
    assert [process for process in tree if not is_dead(process)] == []
    assert not there(brief, "tidied")
    assert not there(brief, "later")


def test_a_cell_that_holds_the_gil_is_killed_at_the_end_of_its_grace(brief: Runner) -> None:
    run_id = begin(brief, HOLD_THE_GIL.replace("print(", "open('begun', 'w').close(); print("))
    (kernel,) = busy = [kernel for kernel in brief.kernels() if kernel.children()]
    tree: list[psutil.Process] = [*busy, *kernel.children(recursive=True)]
    brief.client.post("/cancel")
    brief.wait_for(run_id, "CANCELLED", timeout=SHORT + SOON)
    assert [process for process in tree if not is_dead(process)] == []


def test_a_grace_of_zero_kills_at_once(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", TIDIES_UP.format(seconds=0))
    with start_runner(tmp_path, notebook=notebook, env={"CANCEL_GRACE": "0"}) as runner:
        run_id = runner.start()
        wait_until(lambda: there(runner, "begun"), "the cell to begin", 60)
        runner.client.post("/cancel")
        runner.wait_for(run_id, "CANCELLED", timeout=SOON)
        assert not there(runner, "interrupted")
