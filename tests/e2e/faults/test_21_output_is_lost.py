"""Output is lost, and the run says SUCCEEDED."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kit.processes.child import NotReady
from tests.e2e.runner import Runner, start_runner, wait_until, worker_processes, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LINES = 3_000  # more than ZeroMQ's queues and the system's buffers hold
# The cell puts out while the worker does not read. Each line is a message of its own.
BURST = f"""
import time
from pathlib import Path
Path("begun").touch()
while not Path("go").exists():
    time.sleep(0.01)
for i in range({LINES}):
    print(i, flush=True)
Path("done").touch()
"""
LOSE = """
import zmq
thread = get_ipython().kernel.iopub_thread
thread.schedule(lambda: thread.socket.setsockopt(zmq.XPUB_NODROP, 0))
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("lost")
    notebook = write_notebook(folder / "it.ipynb", "1")
    with start_runner(folder, notebook=notebook, env={"LEASE_SECONDS": "60"}) as runner:
        yield runner


def burst(runner: Runner, *cells: str, seconds: float) -> str:
    """Start a run whose worker stands still, for some seconds, while a cell puts out its lines."""
    notebook = Path(runner.env["NOTEBOOK_PATH"])
    for name in ("begun", "go", "done"):
        (notebook.parent / name).unlink(missing_ok=True)
    write_notebook(notebook, *cells)
    run_id = runner.start()
    wait_until((notebook.parent / "begun").exists, "the cell to begin", 60)
    pool = psutil.Process(worker_processes(runner.workers[0])[1].pid)
    pool.send_signal(signal.SIGSTOP)
    try:
        (notebook.parent / "go").touch()
        with contextlib.suppress(NotReady):  # the kernel waits for its reader
            wait_until((notebook.parent / "done").exists, "the cell to end", seconds)
    finally:
        pool.send_signal(signal.SIGCONT)
    return run_id


def test_21_a_worker_that_reads_late_gets_all_of_the_output(runner: Runner) -> None:
    run_id = burst(runner, BURST, "print('end')", seconds=2)
    run = runner.wait_for(run_id, "SUCCEEDED")
    assert run["output_dropped"] == 0
    lines = runner.client.get(f"/output/{run_id}").text.split()
    assert lines == [*map(str, range(LINES)), "end"]


def test_21_output_that_does_not_arrive_is_said_and_fails_the_run(runner: Runner) -> None:
    run_id = burst(runner, LOSE, BURST, "print('end')", seconds=30)
    run = runner.wait_for(run_id, "FAILED")
    assert run["reason"] == "output_missing"
    assert "some of its output did not arrive" in run["error"]
    assert len(runner.client.get(f"/output/{run_id}").text.split()) < LINES


def test_21_a_thread_puts_out_into_the_cell_that_started_it(runner: Runner) -> None:
    cells = (
        "import threading, time\n"
        "def late():\n    time.sleep(0.5); print('from the thread')\n"
        "thread = threading.Thread(target=late); thread.start()",
        "thread.join(); print('from the cell')",
    )
    write_notebook(Path(runner.env["NOTEBOOK_PATH"]), *cells)
    run = runner.run()
    text = runner.client.get(f"/output/{run['run_id']}").text
    assert text == "from the thread\nfrom the cell\n"
