"""Refusals and status under load, beside a FastAPI that does nothing, on the same uvicorn."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Measurement, Report, Say, Target
from kit.errors import KitError
from kit.processes.child import wait_until
from kit.processes.ports import free_socket
from kit.processes.stack import Stack
from tests.e2e.runner import start_runner, write_notebook

CONNECTIONS, SECONDS = 64, 5
PING, START, STATUS = "bare GET /ping", "POST /start, refused", "GET /status"
BARE = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/ping")
async def ping() -> str:
    return "pong"
"""
HOW = (
    f"wrk, one thread, {CONNECTIONS} kept connections, {SECONDS} s each, by turns, while a run is "
    "going. One uvicorn process each, access log on."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Requests a second, and the time that 99 of 100 stay under."""
    if shutil.which("wrk") is None:
        raise KitError("wrk is not installed", "sudo apt install wrk")
    rates: dict[str, list[float]] = {PING: [], START: [], STATUS: []}
    tails: dict[str, list[float]] = {PING: [], START: [], STATUS: []}
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        folder = Path(name)
        notebook = write_notebook(folder / "long.ipynb", "import time; time.sleep(3600)")
        post = folder / "post.lua"
        post.write_text('wrk.method = "POST"')
        with _bare(folder) as bare, start_runner(folder, notebook=notebook) as runner:
            runner.wait_for(runner.start(), "RUNNING")
            calls = {
                PING: [f"{bare}/ping"],
                START: ["--script", str(post), f"{runner.url}/start"],
                STATUS: [f"{runner.url}/status"],
            }
            for i in range(repeat or 5):
                for what, words in calls.items():
                    say(f"{what}, {i + 1} of {repeat or 5}")
                    rate, tail = _wrk(words)
                    rates[what].append(rate)
                    tails[what].append(tail)
    late = {what: f"{what}: 99 % within" for what in rates}
    ours = (START, STATUS)
    return Report(
        "Under load",
        HOW,
        [Measurement(what, rates[what], "/s", PING) for what in (PING, *ours)]
        + [Measurement(late[what], tails[what], "ms", late[PING]) for what in (PING, *ours)],
        [Target(START, "ratio", "at least", 0.75), Target(STATUS, "ratio", "at least", 0.6)]
        + [Target(late[what], "ratio", "at most", 2) for what in ours],
    )


def _wrk(words: list[str]) -> tuple[float, float]:
    """Requests a second, and the 99th percentile in milliseconds."""
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    told = subprocess.run(
        ["wrk", *options, *words], capture_output=True, text=True, check=True
    ).stdout
    rate = re.search(r"Requests/sec: +([\d.]+)", told)
    tail = re.search(r"99% +([\d.]+)(us|ms|s)", told)
    if not rate or not tail:
        raise KitError("wrk said something unexpected", "wrk --version", told)
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]


@contextmanager
def _bare(folder: Path) -> Iterator[str]:
    """A FastAPI with one call, on a uvicorn like ours."""
    (folder / "bare.py").write_text(BARE)
    with free_socket() as sock, Stack(folder / "bare") as stack:
        fd = sock.fileno()
        argv = [sys.executable, "-m", "uvicorn", "bare:app", "--fd", str(fd)]
        child = stack.start("bare", argv, cwd=folder, pass_fds=[fd])
        wait_until(lambda: "startup complete" in child.output(), "it to start", 60, child)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
