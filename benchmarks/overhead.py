"""What a run costs on top of the notebook's own two seconds, beside other ways to run it."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import nbformat
from nbclient import NotebookClient

from benchmarks.harness import Measurement, Report, Say, Target, timed
from kit.errors import KitError
from tests.e2e.runner import start_runner, write_notebook

SLEEP = 2.0  # seconds that the notebook itself takes
POLL_INTERVAL = 0.005  # seconds between two looks at the status
# Seconds for the worker to get the next kernel ready, and for the machine to be quiet again.
SETTLE = 3.0
OURS, JUPYTER, PAPERMILL, NBCLIENT = (
    "POST /start to finished",
    "jupyter execute",
    "papermill",
    "nbclient",
)
HOW = (
    f"One cell that sleeps {SLEEP:g} s and prints; shown is what is on top. Ours: one client, "
    f"status read every {POLL_INTERVAL * 1000:g} ms, the kernel warm, as after any pause of a "
    "second. The commands: from start to exit, the executed notebook written. nbclient: in a "
    "process that has it imported. By turns, with a pause between."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Run the same notebook in all ways, by turns."""
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        folder = Path(name)
        source = f"import time; time.sleep({SLEEP}); print('done')"
        notebook = write_notebook(folder / "two_seconds.ipynb", source)
        samples: dict[str, list[float]] = {OURS: [], JUPYTER: [], PAPERMILL: [], NBCLIENT: []}
        with start_runner(folder, notebook=notebook) as runner:
            ways = {
                OURS: lambda: _start_and_wait(runner.client),
                JUPYTER: lambda: _command("jupyter", "execute", "--output", "executed", notebook),
                PAPERMILL: lambda: _command(
                    "papermill", "--no-progress-bar", notebook, folder / "out.ipynb"
                ),
                NBCLIENT: lambda: _nbclient(notebook),
            }
            n = repeat or 5
            for i in range(n):
                for way, work in ways.items():
                    say(f"{way}, {i + 1} of {n}")
                    time.sleep(SETTLE)
                    samples[way].append(timed(work) - SLEEP)
    return Report(
        "Overhead of a 2-second notebook",
        HOW,
        [
            Measurement(OURS, samples[OURS], peer=JUPYTER),
            *(Measurement(way, samples[way]) for way in (JUPYTER, PAPERMILL, NBCLIENT)),
        ],
        [Target(OURS, "median", "at most", 0.05), Target(OURS, "ratio", "at most", 0.2)],
    )


def _start_and_wait(client: httpx.Client) -> None:
    run = client.post("/start").json()
    while (status := client.get(f"/status/{run['run_id']}").json())["status"] in (
        "QUEUED",
        "RUNNING",
    ):
        time.sleep(POLL_INTERVAL)
    if status["status"] != "SUCCEEDED":
        raise KitError(f"the run is {status['status']}: {status['error']}", "./workshop doctor")


def _command(program: str, *words: str | Path) -> None:
    argv = [str(Path(sys.executable).with_name(program)), *map(str, words)]
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise KitError(f"{program} failed", "./workshop setup", done.stdout)


def _nbclient(notebook: Path) -> None:
    book = nbformat.read(notebook, as_version=4)
    client = NotebookClient(book, kernel_name="python3")
    # The kernel's own standard error is a warning that its sockets are TCP.
    asyncio.run(client.async_execute(stderr=subprocess.DEVNULL))
    nbformat.write(book, notebook.with_name("nbclient.ipynb"))
