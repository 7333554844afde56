"""Faults to inject into what `run` has running: processes killed, or stopped for a while."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from kit.errors import KitError
from kit.processes.registry import Running, Started
from kit.workspace import shown

# How Celery logs the state of a task.
TASK = re.compile(r"Task [\w.]+\[([^\]]+)\] (\w+)")


def kill_redis(running: Running) -> int:
    """Kill the Redis that `run` has started; its process id. Raises KitError."""
    if running.adopted_redis:
        raise KitError(
            f"the Redis at {running.adopted_redis} is not ours to kill: "
            "`run` found it in REDIS_URL",
            "unset REDIS_URL, and start `./workshop run` again: it then starts a Redis of its own",
        )
    process = _process("redis", running.processes.get("redis"))
    with contextlib.suppress(psutil.Error):
        process.kill()
    return process.pid


def kill_worker(worker: psutil.Process) -> list[int]:
    """Kill a worker and its pool; their process ids."""
    processes = [worker, *_pool(worker)]
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return [process.pid for process in processes]


@contextlib.contextmanager
def stopped(worker: psutil.Process) -> Iterator[int]:
    """Stop a worker and all its descendants; they are continued at the end, however that comes."""
    processes: list[psutil.Process] = []
    try:
        # Parents before children: a stopped process starts no further child, so none is missed.
        todo = [worker]
        while todo:
            process = todo.pop()
            with contextlib.suppress(psutil.Error):
                process.suspend()
                processes.append(process)
                todo += process.children()
        yield len(processes)
    finally:
        for process in reversed(processes):
            with contextlib.suppress(psutil.Error):
                process.resume()


def find_worker(running: Running) -> tuple[str, psutil.Process]:
    """The worker that runs a task, as far as its log tells; else the first. Raises KitError."""
    workers = {name: it for name, it in running.processes.items() if name.startswith("worker-")}
    if not workers:
        raise KitError(
            f"{shown(Path(running.project))} runs without a worker, so there is none to break",
            "./workshop run, with an exercise from 05 on",
        )
    busy = [name for name, it in workers.items() if it.process() and _has_a_task(Path(it.log))]
    name = busy[0] if busy else next(iter(workers))
    return name, _process(name, workers[name])


def _has_a_task(log: Path) -> bool:
    """Whether the log names a task that was received since the last start, and has not ended."""
    try:
        _, _, lines = log.read_text(encoding="utf-8", errors="replace").rpartition(" ready.")
    except OSError:
        return False
    return "received" in dict(TASK.findall(lines)).values()


def _pool(worker: psutil.Process) -> list[psutil.Process]:
    """The processes that a worker forked. They share its process group; kernels have their own."""
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
