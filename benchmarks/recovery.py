"""From SIGKILL of the worker to the next accepted start, for leases of three lengths."""

import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.harness import Measurement, Report, Say, Target
from kit.processes.child import wait_until
from tests.e2e.runner import Runner, start_runner, write_notebook

LEASES = (3, 15, 60)  # seconds
HOW = (
    "Two workers; the one that runs is killed, pool and all. Up to one lease, less the time since "
    "the last heartbeat, which comes twice a second or more."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Kill, and try to start until it works."""
    measurements = []
    for lease in LEASES:
        samples = []
        for i in range(repeat or 5):
            say(f"lease of {lease} s, {i + 1} of {repeat or 5}")
            samples.append(_recover(lease))
        measurements.append(Measurement(_name(lease), samples))
    return Report(
        "After a worker was killed",
        HOW,
        measurements,
        [Target(_name(lease), "median", "at most", lease + 0.5) for lease in LEASES],
    )


def _recover(lease: int) -> float:
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        notebook = write_notebook(Path(name) / "long.ipynb", "import time; time.sleep(3600)")
        env = {"LEASE_SECONDS": str(lease)}
        with start_runner(Path(name), notebook=notebook, workers=2, env=env) as runner:
            runner.wait_for(runner.start(), "RUNNING")
            busy = wait_until(lambda: _busy(runner), "a worker to say that it is at work", 10)
            for process in [busy, *busy.children()]:
                process.kill()
            killed = time.monotonic()
            wait_until(
                lambda: runner.client.post("/start").status_code == 202, "a start", lease + 60
            )
            return time.monotonic() - killed


def _busy(runner: Runner) -> psutil.Process | None:
    for worker in runner.workers:
        if "Executing notebook" in worker.output():
            return psutil.Process(worker.pid)
    return None


def _name(lease: int) -> str:
    return f"lease of {lease} s"
