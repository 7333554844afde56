"""Starts, cancels and faults at random, from a seed: what must hold is looked at all the time.

    python -m tests.e2e.chaos [--seed N] [--seconds S]

prints the seed, then a line for each thing done, then what came out. The same seed does the same
things in the same order again.
"""

import json
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil
import typer

from kit.processes.child import Child
from tests.e2e.runner import (
    ENDED,
    Runner,
    kill_worker,
    start_runner,
    worker_processes,
    write_notebook,
)

LEASE = 2.0  # seconds
SLACK = 10.0  # seconds on top, for a machine that is busy with something else
STATUSES = ENDED | {"QUEUED", "RUNNING"}

# A running kernel holds a lock, and so does a process that it has started and that has left its
# group. The system releases the lock when both have ended. A kernel that finds the lock taken
# records an overlap with its holder. Its writes carry the fencing token.
AT_WORK = """
import fcntl, json, os, random, sqlite3, subprocess, time
from pathlib import Path
run_id, token = os.environ["RUN_ID"], int(os.environ["FENCING_TOKEN"])
work = open("at_work", "a+")
try:
    fcntl.flock(work, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    with open("overlaps", "a") as overlaps:
        overlaps.write(json.dumps({"run": run_id, "beside": Path("who").read_text()}) + "\\n")
Path("who").write_text(json.dumps({"run": run_id, "pid": os.getpid()}))
subprocess.Popen(["timeout", "600", "sleep", "600"], pass_fds=[work.fileno()])
"""
WORK = "time.sleep(random.uniform(0, 0.8))"
WRITE = """
with sqlite3.connect("results.db", timeout=30) as db:
    if db.execute("UPDATE fence SET token = ? WHERE token <= ?", (token, token)).rowcount == 0:
        raise RuntimeError("a newer run has written")
    db.execute("INSERT INTO results (run, token) VALUES (?, ?)", (run_id, token))
"""


class Chaos:
    """A runner under a random schedule of calls and faults, and the counts of what happened."""

    def __init__(self, runner: Runner, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self._runner = runner
        self._folder = folder
        self._random = random.Random(seed)
        self._say = say
        self._paused: set[int] = set()  # kernels that were ever stopped together with their worker
        self.started: dict[str, str] = {}  # run id: its last status
        self.counts: Counter[str] = Counter()

    def go(self, seconds: float) -> None:
        """Run the schedule for so long, then let the runner recover. Raises AssertionError."""
        faults = [
            self.kill_a_worker,
            self.kill_a_main_process,
            self.stop_a_worker,
            self.shut_down_cold,
            self.signal_a_pool_process,
            self.attack_a_guard,
            self.freeze_a_worker,
            self.suspend_a_host,
            self.kill_an_api,
            self.restart_redis,
            self.freeze_redis,
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(self._random.randint(1, 12)):
                self._random.choice([self.start, self.start, self.start, self.look, self.cancel])()
                time.sleep(self._random.uniform(0, 0.4))
            fault = self._random.choice(faults)
            self.counts[fault.__name__] += 1
            self._say(fault.__name__.replace("_", " "))
            fault()
        self.come_to_rest()

    # --- What people do -----------------------------------------------------------------------

    def start(self) -> None:
        answer = self._call("POST", "/start")
        if answer is not None and answer.status_code == 202:
            self.started[answer.json()["run_id"]] = "QUEUED"

    def cancel(self) -> None:
        self._call("POST", "/cancel")

    def look(self) -> None:
        """Check all runs: at most one is active, and a run that has ended stays ended."""
        answer = self._call("GET", "/runs")
        if answer is None or not answer.is_success:
            return
        runs = answer.json()
        active = [run["run_id"] for run in runs if run["status"] not in ENDED]
        assert len(active) <= 1, f"two at once: {active}"
        for run in runs:
            before, now = self.started.get(run["run_id"]), run["status"]
            # LOST is an assumption: a worker that had lost Redis may still finish the run.
            assert now == before or before not in ENDED - {"LOST"}, f"was {before}, and now {run}"
            self.started[run["run_id"]] = now

    def _call(self, method: str, path: str) -> httpx.Response | None:
        began = time.monotonic()
        try:
            answer = self._runner.client.request(method, path, timeout=20)
        except httpx.HTTPError:
            self.counts["no answer"] += 1  # that API process was just killed
            return None
        assert answer.status_code in (200, 202, 409, 503), f"{method} {path}: {answer.text}"
        if answer.status_code == 503:
            assert time.monotonic() - began < 3 + SLACK, "a refusal should not take long"
        self.counts[f"{method} {path} {answer.status_code}"] += 1
        return answer

    # --- Faults -------------------------------------------------------------------------------

    def kill_a_worker(self) -> None:
        place, worker = self._a_worker()
        kill_worker(worker)
        self._replace(place)

    def kill_a_main_process(self) -> None:
        place, worker = self._a_worker()
        psutil.Process(worker.pid).kill()
        self._replace(place)

    def stop_a_worker(self) -> None:
        place, worker = self._a_worker()
        worker.signal(signal.SIGTERM)
        self._replace(place)

    def shut_down_cold(self) -> None:
        place, worker = self._a_worker()
        worker.signal(signal.SIGQUIT)
        self._replace(place)

    def signal_a_pool_process(self) -> None:
        """It ends its run, and Celery starts another process in its place, or it goes on."""
        _, worker = self._a_worker()
        number = self._random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
        for pool in worker_processes(worker)[1:]:
            _do(lambda pool=pool: pool.send_signal(number))  # type: ignore[misc]

    def attack_a_guard(self) -> None:
        """Kill or stop the guards of a worker, as a cell could; sometimes its pool process too."""
        _, worker = self._a_worker()
        number = self._random.choice([signal.SIGKILL, signal.SIGSTOP])
        and_the_pool = self._random.random() < 0.5
        for pool in worker_processes(worker)[1:]:
            with suppress(psutil.NoSuchProcess):
                for guard in pool.children():
                    guard.send_signal(number)
                if and_the_pool:
                    pool.kill()

    def freeze_a_worker(self) -> None:
        """Stop a worker. Its kernel runs on until its guard ends it."""
        _, worker = self._a_worker()
        self._suspend(worker_processes(worker))

    def suspend_a_host(self) -> None:
        """Stop a worker with its kernels and guards, as when the lid of a laptop closes."""
        _, worker = self._a_worker()
        everything = psutil.Process(worker.pid).children(recursive=True)
        self._paused |= {process.pid for process in everything}
        self._suspend([psutil.Process(worker.pid), *everything])

    def kill_an_api(self) -> None:
        place = self._random.randrange(len(self._runner.apis))
        self._runner.apis[place].kill()
        self._runner.restart_api(place, self._runner.env)

    def restart_redis(self) -> None:
        """Restart Redis with its data (AOF). test_failure_modes.py restarts one without data."""
        server = self._runner.stack.redis_server
        assert server
        server.kill()
        time.sleep(self._random.uniform(0, LEASE))
        server.start()

    def freeze_redis(self) -> None:
        server = self._runner.stack.redis_server
        assert server and server.child
        self._suspend([psutil.Process(server.child.pid)])

    def _a_worker(self) -> tuple[int, Child]:
        place = self._random.randrange(len(self._runner.workers))
        return place, self._runner.workers[place]

    def _replace(self, place: int) -> None:
        self._runner.workers[place].wait(60)
        self._runner.replace_worker(place)

    def _suspend(self, processes: list[psutil.Process]) -> None:
        alive = [process for process in processes if _do(process.suspend)]
        for _ in range(self._random.randint(0, 15)):  # up to a lease or two
            self._random.choice([self.start, self.look])()
            time.sleep(0.25)
        for process in alive:
            _do(process.resume)

    # --- What has to hold ---------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """After the last fault a start is accepted within one lease, and its run succeeds."""
        deadline = time.monotonic() + LEASE + SLACK + 30
        run: dict[str, Any] = {}
        while run.get("status") != "SUCCEEDED":
            assert time.monotonic() < deadline, f"not at rest yet: {run}"
            if run.get("status", "LOST") in ENDED:
                self.start()
            time.sleep(0.2)
            answer = self._call("GET", "/status")
            run = answer.json() if answer is not None and answer.is_success else {}
        self.look()
        self._check_the_overlaps()
        self._check_the_writes()
        self.counts.update(f"run {status}" for status in self.started.values())

    def _check_the_overlaps(self) -> None:
        file = self._folder / "overlaps"
        for line in file.read_text().splitlines() if file.exists() else []:
            overlap = json.loads(line)
            other = json.loads(overlap["beside"])
            # A paused kernel cannot be stopped. Its write is refused when it goes on.
            assert other["pid"] in self._paused, f"two kernels at work: {overlap}"
            self.counts["beside a sleeping kernel"] += 1

    def _check_the_writes(self) -> None:
        with closing(sqlite3.connect(self._folder / "results.db")) as db:
            written = db.execute("SELECT run, token FROM results ORDER BY id").fetchall()
        tokens = [token for _, token in written]
        assert tokens == sorted(set(tokens)), f"an older run wrote after a newer one: {written}"
        runs = {run for run, _ in written}
        for run, status in self.started.items():
            assert status != "SUCCEEDED" or run in runs, f"{run} succeeded and wrote nothing"
            assert status in STATUSES
        self.counts["writes"] = len(written)


def _do(act: Callable[[], None]) -> bool:
    try:
        act()
    except psutil.NoSuchProcess:
        return False
    return True


def run_chaos(folder: Path, seed: int, seconds: float, say: Callable[[str], None]) -> Counter[str]:
    """Two API processes, two workers, and faults for so many seconds; what was counted."""
    with closing(sqlite3.connect(folder / "results.db")) as db, db:
        db.execute("CREATE TABLE fence (token INTEGER)")
        db.execute("INSERT INTO fence VALUES (0)")
        db.execute("CREATE TABLE results (id INTEGER PRIMARY KEY, run TEXT, token INTEGER)")
    notebook = write_notebook(folder / "it.ipynb", AT_WORK, WORK, WORK, WRITE)
    env = {"LEASE_SECONDS": str(LEASE), "KEEP_RUNS": "10000"}
    with start_runner(
        folder, notebook=notebook, api=2, workers=2, env=env, appendonly=True
    ) as runner:
        chaos = Chaos(runner, folder, seed, say)
        chaos.go(seconds)
    assert runner.mark.commands() == [], "something was left running"
    return chaos.counts


def main(
    seed: Annotated[
        int | None, typer.Option(help="Of the schedule; by default another one.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 600,
) -> None:
    """Break the runner at random, and watch it hold."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    began = time.monotonic()
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="workshop-chaos-") as folder:
        counts = run_chaos(
            Path(folder),
            seed,
            seconds,
            lambda words: print(f"{time.monotonic() - began:6.1f} s  {words}", flush=True),
        )
    for what, count in sorted(counts.items()):
        print(f"{count:6}  {what}")


if __name__ == "__main__":
    typer.run(main)
