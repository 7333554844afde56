"""A hundred thousand lines, beside `jupyter execute`; and a worker's memory while a cell shouts."""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.harness import Measurement, Report, Say, Target, timed
from tests.e2e.runner import Runner, start_runner, worker_processes, write_notebook

LINES = 100_000
SHOUTED = 1_000_000_000  # bytes; far more than OUTPUT_LIMIT
LIMIT = 10_000_000  # bytes
SETTLE = 3.0  # seconds for the worker to get the next kernel ready
POLL_INTERVAL = 0.05  # seconds between two looks at the worker's memory
OURS, JUPYTER = "POST /start to finished", "jupyter execute"
REST, SHOUTING = "worker, at rest", "worker, at most, while 1 GB is printed"
HOW = (
    f"One cell that prints {LINES:,} lines: the whole command, and POST /start to finished, by "
    f"turns. Then one that prints {SHOUTED // 1_000_000:,} MB, with OUTPUT_LIMIT at "
    f"{LIMIT // 1_000_000} MB: the resident memory of the worker's pool process, the highest of "
    "all looks."
)


def measure(repeat: int | None, say: Say) -> Report:
    """The same lines both ways, by turns; then the memory."""
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        folder = Path(name)
        notebook = write_notebook(folder / "it.ipynb", f"for i in range({LINES}): print(i)")
        seconds: dict[str, list[float]] = {OURS: [], JUPYTER: []}
        with start_runner(folder, notebook=notebook, env={"OUTPUT_LIMIT": str(LIMIT)}) as runner:
            n = repeat or 5
            for i in range(n):
                say(f"{LINES:,} lines, {i + 1} of {n}")
                time.sleep(SETTLE)
                seconds[OURS].append(timed(lambda: _run(runner)))
                seconds[JUPYTER].append(timed(lambda: _jupyter(notebook)))
            say("memory")
            write_notebook(notebook, f"for _ in range({SHOUTED // 100_000}): print('x' * 99_999)")
            pool = psutil.Process(worker_processes(runner.workers[0])[1].pid)
            rest = pool.memory_info().rss / 1e6
            highest = _highest(pool, runner)
    return Report(
        "A lot of output",
        HOW,
        [
            Measurement(OURS, seconds[OURS], peer=JUPYTER),
            Measurement(JUPYTER, seconds[JUPYTER]),
            Measurement(REST, [rest], "MB"),
            Measurement(SHOUTING, [highest], "MB", REST),
        ],
        [Target(OURS, "ratio", "at most", 1.5), Target(SHOUTING, "ratio", "at most", 1.8)],
    )


def _run(runner: Runner) -> None:
    runner.run()


def _jupyter(notebook: Path) -> None:
    program = str(Path(sys.executable).with_name("jupyter-execute"))
    subprocess.run([program, "--output", "j", str(notebook)], capture_output=True, check=True)


def _highest(pool: psutil.Process, runner: Runner) -> float:
    """The most memory that the process has, in megabytes, while a run goes on."""
    over = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not over.wait(POLL_INTERVAL):
            seen.append(pool.memory_info().rss)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        runner.run()
    finally:
        over.set()
        looker.join()
    return max(seen) / 1e6
