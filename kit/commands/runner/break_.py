"""`break`: inject a fault into what `./workshop run` has running, to watch what comes of it."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import psutil
import typer

from kit.errors import KitError
from kit.processes import registry
from kit.processes.project import Project
from kit.processes.redis_tiers import without_password
from kit.processes.registry import Running, Started
from kit.workspace import shown

MORE_THAN_A_LEASE = 5.0  # seconds
FIRST_WITH_STATUS, FIRST_WITH_LEASE = 7, 12  # exercises whose starters know of them
# How Celery logs what becomes of a task.
TASK = re.compile(r"Task [\w.]+\[([^\]]+)\] (\w+)")


class Fault(StrEnum):
    """What can be broken."""

    WORKER = "worker"
    REDIS = "redis"
    PAUSE = "pause"


def break_(
    fault: Annotated[
        Fault,
        typer.Argument(
            metavar="worker | redis | pause",
            help="worker: kill it. redis: kill it. pause: stop the worker for a while.",
        ),
    ],
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=3600, help="How long to pause; else the lease and 5 more."),
    ] = None,
) -> None:
    """Break what `./workshop run` has running: kill the worker or Redis, or pause the worker.

    Example: ./workshop break pause --seconds 20
    """
    there = registry.find()
    print(f"project   {shown(Path(there.project))}, at {there.url}")
    if fault is Fault.REDIS:
        _kill_redis(there)
    elif fault is Fault.WORKER:
        _kill_worker(there)
    else:
        _pause_worker(there, seconds or there.lease_seconds + MORE_THAN_A_LEASE)


def _kill_redis(there: Running) -> None:
    if there.adopted_redis:
        raise KitError(
            f"the Redis at {without_password(there.adopted_redis)} is not ours to kill: "
            "`run` found it in REDIS_URL",
            "unset REDIS_URL, and start `./workshop run` again: it then starts a Redis of its own",
        )
    process = _process("redis", there.processes.get("redis"))
    with contextlib.suppress(psutil.Error):
        process.kill()
    print(f"done      SIGKILL for redis (pid {process.pid}), as in a power cut")
    print("now       `run` starts it again in a second; what it had in memory is gone")
    _look_at(there, "/status")


def _kill_worker(there: Running) -> None:
    name, worker = _worker(there)
    family = [worker, *_pool(worker)]
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
    pids = ", ".join(str(process.pid) for process in family)
    print(f"done      SIGKILL for {name} and its pool (pid {pids})")
    print("now       `run` starts a new one in a second, which knows nothing of the old one's run")
    _look_at(there, "/status")


def _pause_worker(there: Running, seconds: float) -> None:
    name, worker = _worker(there)
    with _stopped(worker) as processes:
        print(f"done      SIGSTOP for {name} and all below it: {processes} processes")
        print(f"now       they stand still for {seconds:g} s; Ctrl-C wakes them up earlier")
        if (Project(Path(there.project)).number or 13) >= FIRST_WITH_LEASE:
            print(f"          the lease lasts for {there.lease_seconds:g} s without a heartbeat")
        _look_at(there, "/status")
        print(f"          curl -X POST {there.url}/start", flush=True)
        time.sleep(seconds)  # Ctrl-C and SIGTERM end it: the command line turns them into one
    print(f"done      SIGCONT for {name}: it goes on as if nothing had happened")
    _look_at(there, "/runs")


@contextlib.contextmanager
def _stopped(worker: psutil.Process) -> Iterator[int]:
    """Everything from `worker` down stands still. It goes on at the end, however that comes."""
    stopped: list[psutil.Process] = []
    try:
        # From the top: who is stopped starts no more children, so none escapes.
        todo = [worker]
        while todo:
            process = todo.pop()
            with contextlib.suppress(psutil.Error):
                process.suspend()
                stopped.append(process)
                todo += process.children()
        yield len(stopped)
    finally:
        for process in reversed(stopped):
            with contextlib.suppress(psutil.Error):
                process.resume()


def _worker(there: Running) -> tuple[str, psutil.Process]:
    """The worker that is at work as far as its log tells, else the first."""
    workers = {name: it for name, it in there.processes.items() if name.startswith("worker-")}
    if not workers:
        raise KitError(
            f"{shown(Path(there.project))} runs without a worker, so there is none to break",
            "./workshop run, with an exercise from 05 on",
        )
    at_work = [name for name, it in workers.items() if it.process() and _is_at_work(Path(it.log))]
    name = at_work[0] if at_work else next(iter(workers))
    return name, _process(name, workers[name])


def _is_at_work(log: Path) -> bool:
    """Whether a task was received, since the worker was last started, whose end is not told."""
    try:
        _, _, lines = log.read_text(encoding="utf-8", errors="replace").rpartition(" ready.")
    except OSError:
        return False
    return "received" in dict(TASK.findall(lines)).values()


def _pool(worker: psutil.Process) -> list[psutil.Process]:
    """The processes that a worker forked: of its own group, which kernels have left."""
    pool = []
    with contextlib.suppress(psutil.Error):
        for process in worker.children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(process.pid) == worker.pid:
                    pool.append(process)
    return pool


def _process(name: str, started: Started | None) -> psutil.Process:
    process = started.process() if started else None
    if process is None:
        raise KitError(
            f"{name} is not up just now, so there is nothing to break",
            "the same again when `./workshop run` says that it was started",
        )
    return process


def _look_at(there: Running, path: str) -> None:
    first = FIRST_WITH_STATUS if path == "/status" else 0
    if (Project(Path(there.project)).number or 13) < first:
        path = "/runs"  # what there was before
    print(f"look at   curl {there.url}{path}")
