"""`break`: inject a fault into what `./workshop run` has running, to watch what comes of it."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kit.course import catalogue
from kit.processes import registry
from kit.processes.registry import Running
from kit.runner import faults
from kit.workspace import shown

MORE_THAN_A_LEASE = 5.0  # seconds
# The first exercises whose starters have GET /status, and a lease.
FIRST_WITH_STATUS, FIRST_WITH_LEASE = 7, 12


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
    running = registry.find()
    print(f"project   {shown(Path(running.project))}, at {running.url}")
    if fault is Fault.REDIS:
        _kill_redis(running)
    elif fault is Fault.WORKER:
        _kill_worker(running)
    else:
        _pause_worker(running, seconds or running.lease_seconds + MORE_THAN_A_LEASE)


def _kill_redis(running: Running) -> None:
    pid = faults.kill_redis(running)
    print(f"done      SIGKILL for redis (pid {pid}), as in a power cut")
    print("now       `run` starts it again in a second; what it had in memory is gone")
    _look_at(running, "/status")


def _kill_worker(running: Running) -> None:
    name, worker = faults.find_worker(running)
    pids = ", ".join(str(pid) for pid in faults.kill_worker(worker))
    print(f"done      SIGKILL for {name} and its pool (pid {pids})")
    print("now       `run` starts a new one in a second, which knows nothing of the old one's run")
    _look_at(running, "/status")


def _pause_worker(running: Running, seconds: float) -> None:
    name, worker = faults.find_worker(running)
    with faults.stopped(worker) as processes:
        print(f"done      SIGSTOP for {name} and all below it: {processes} processes")
        print(f"now       they stand still for {seconds:g} s; Ctrl-C wakes them up earlier")
        if _exercise(running) >= FIRST_WITH_LEASE:
            print(f"          the lease lasts for {running.lease_seconds:g} s without a heartbeat")
        _look_at(running, "/status")
        print(f"          curl -X POST {running.url}/start", flush=True)
        # Ctrl-C and SIGTERM end the pause: kit.cli turns both into KeyboardInterrupt.
        time.sleep(seconds)
    print(f"done      SIGCONT for {name}: it goes on as if nothing had happened")
    _look_at(running, "/runs")


def _look_at(running: Running, path: str) -> None:
    if path == "/status" and _exercise(running) < FIRST_WITH_STATUS:
        path = "/runs"  # what earlier exercises have instead
    print(f"look at   curl {running.url}{path}")


def _exercise(running: Running) -> int:
    """The number of the exercise that runs. A project of another name counts as the product."""
    return catalogue.number_of(Path(running.project)) or catalogue.product().number
