"""Fault 32: workers that are up, and whose runs fail all the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.runner import (
    PRODUCT,
    TIMEOUT,
    Runner,
    install_kernel,
    start_runner,
    wait_until,
    worker_processes,
    write_notebook,
)

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

WAIT = """
import time
while os.path.exists("wait"): time.sleep(0.02)
"""

SHORT_LEASE = 3  # seconds
SLOW_KERNEL = """
import runpy, time
time.sleep({seconds})
runpy.run_module("ipykernel_launcher", run_name="__main__")
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the notebook."""
    folder = tmp_path_factory.mktemp("deployed") / "current"
    deploy(folder, "first")
    return folder


def deploy(folder: Path, version: str) -> None:
    folder.mkdir()
    (folder / "version.txt").write_text(version)
    write_notebook(folder / "it.ipynb", "import os; print(open('version.txt').read())", WAIT)


@pytest.fixture(scope="module")
def runner(deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One runner for all tests; the last one stops its worker."""
    folder = tmp_path_factory.mktemp("runner")
    with start_runner(folder, notebook=deployed / "it.ipynb") as runner:
        yield runner


def warm_kernel(runner: Runner) -> psutil.Process:
    """The kernel that waits for the next run. A run has been there before."""
    log = runner.workers[0].output

    def ready() -> bool:  # a Celery task ends when the next kernel is there
        return log().count("] received") == log().count("] succeeded in ")

    wait_until(ready, "the next kernel to be ready", TIMEOUT)
    [kernel] = runner.kernels()
    return kernel


def test_32_a_signal_ends_one_run_and_no_later_one(runner: Runner, deployed: Path) -> None:
    (deployed / "wait").touch()
    run_id = runner.start()
    runner.wait_for_cell(run_id, 1)
    worker_processes(runner.workers[0])[1].send_signal(signal.SIGUSR2)
    run = runner.wait_for(run_id, "FAILED")
    (deployed / "wait").unlink()
    assert run["error"].startswith("The worker was told to stop in the middle of the run.")
    assert runner.run()["status"] == "SUCCEEDED"


def test_32_a_warm_kernel_that_hangs_is_replaced(runner: Runner) -> None:
    kernel = warm_kernel(runner)
    kernel.suspend()
    assert runner.run()["status"] == "SUCCEEDED"
    assert not kernel.is_running()


def test_32_a_notebook_runs_in_the_folder_that_it_was_deployed_to(
    runner: Runner, deployed: Path
) -> None:
    warm_kernel(runner)
    deployed.rename(deployed.with_name("old"))
    deploy(deployed, "second")
    run = runner.run()
    assert runner.client.get(f"/output/{run['run_id']}").text == "second\n"


def test_32_what_a_run_leaves_in_temporary_files_goes_with_it(
    runner: Runner, deployed: Path
) -> None:
    notebook = deployed / "it.ipynb"
    before = notebook.read_bytes()
    leaves = "import tempfile; print(tempfile.NamedTemporaryFile(delete=False).name)"
    write_notebook(notebook, leaves)
    run = runner.run()
    notebook.write_bytes(before)
    left = Path(runner.client.get(f"/output/{run['run_id']}").text.strip())
    assert left.is_absolute()
    wait_until(lambda: not left.exists(), f"{left} to be gone", 5)


def test_32_a_worker_that_stops_leaves_no_folder_behind(runner: Runner) -> None:
    kernel = warm_kernel(runner)
    temporary = Path(kernel.cmdline()[kernel.cmdline().index("-f") + 1]).parents[1]

    def folders() -> list[Path]:
        return list(temporary.glob("nb-kernel-*"))

    [before] = folders()
    worker_processes(runner.workers[0])[1].kill()  # Celery starts another one
    wait_until(lambda: folders() not in ([], [before]) and len(folders()) == 1, "one", TIMEOUT)
    runner.workers[0].signal(signal.SIGTERM)
    assert runner.workers[0].wait(TIMEOUT) == 0
    wait_until(lambda: not folders(), "its folders to be gone", 5)


REFUSED = {
    "--pool": ["--pool", "threads"],
    "--time-limit": ["--time-limit", "5", "--soft-time-limit", "4"],
    "--max-tasks-per-child": ["--max-tasks-per-child", "1", "--max-memory-per-child", "900000"],
    "--without-heartbeat": ["--without-heartbeat", "--heartbeat-interval", "4"],
}


@pytest.mark.parametrize("option", REFUSED)
def test_32_an_option_that_loses_runs_is_refused_in_words(runner: Runner, option: str) -> None:
    celery = [sys.executable, "-m", "celery", "-A", "nb_runner.tasks", "worker"]
    started = subprocess.run(
        [*celery, *REFUSED[option]],
        cwd=PRODUCT.path,
        env=os.environ | runner.env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    said = [line for line in started.stderr.splitlines() if line.startswith("--")]
    assert started.returncode != 0
    assert said[0].startswith(f"{option} cannot be ")
    assert len(said) == len([word for word in REFUSED[option] if word.startswith("--")])


def test_32_a_kernel_that_is_slow_to_start_holds_up_no_run(tmp_path: Path) -> None:
    """A run that waits for it would be LOST: its admission lasts one lease."""
    slow = SLOW_KERNEL.format(seconds=2 * SHORT_LEASE)
    install_kernel(tmp_path / "jupyter", sys.executable, "-c", slow, "-f", "{connection_file}")
    notebook = write_notebook(tmp_path / "it.ipynb", "1", kernel="ours")
    env = {"JUPYTER_PATH": str(tmp_path / "jupyter"), "LEASE_SECONDS": str(SHORT_LEASE)}
    with start_runner(tmp_path, notebook=notebook, env=env) as runner:
        runner.run("SUCCEEDED")  # after it, the worker begins to start the next kernel
        runner.run("SUCCEEDED")
