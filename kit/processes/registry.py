"""The processes of `run`, written down for `break`: .workshop/running.json."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from kit.errors import KitError
from kit.processes.child import Child
from kit.storage import write_whole
from kit.workspace import workspace

START_FIRST = "./workshop run 12, in another terminal"


def registry_file() -> Path:
    """The file that `run` writes."""
    return workspace().state / "running.json"


@dataclass(frozen=True)
class Started:
    """A process. The system reuses pids, so the time of its start belongs to it."""

    pid: int
    created: float
    log: str = ""

    @classmethod
    def of(cls, pid: int, log: Path | str = "") -> "Started | None":
        """The process with that pid. None: it has ended."""
        try:
            return cls(pid, psutil.Process(pid).create_time(), str(log))
        except psutil.Error:
            return None

    def process(self) -> psutil.Process | None:
        """The process, if it still runs."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.create_time() == self.created:
                return process
        return None


@dataclass(frozen=True)
class Running:
    """A `run`, its API, and its processes by name.

    `adopted_redis` is the URL, without password, of a Redis that ran before; empty when `run` has
    started Redis.
    """

    run: Started
    project: str
    url: str
    adopted_redis: str
    lease_seconds: float
    processes: Mapping[str, Started]

    def write(self) -> None:
        """Replace the file."""
        write_whole(registry_file(), json.dumps(asdict(self), indent=1).encode())


def write_running(
    project: Path,
    url: str,
    env: Mapping[str, str],
    children: list[Child],
    *,
    adopted_redis: str = "",
) -> None:
    """Write down the processes that run now."""
    run = Started.of(os.getpid())
    assert run is not None
    started = {child.name: Started.of(child.pid, child.log) for child in children if child.running}
    processes = {name: each for name, each in started.items() if each is not None}
    lease = _lease_seconds(env)
    Running(run, str(project), url, adopted_redis, lease, processes).write()


def remove() -> None:
    """Remove the file. The file of another `run` stays."""
    running = _read()
    if running is None or running.run.pid == os.getpid():
        registry_file().unlink(missing_ok=True)


def find() -> Running:
    """What is running. Raises KitError when nothing is."""
    running = _read()
    if running is None or running.run.process() is None:
        raise KitError("nothing is running here, so there is nothing to break", START_FIRST)
    return running


def _read() -> Running | None:
    """The content of the file. None: there is none, or it cannot be read."""
    from pydantic import TypeAdapter, ValidationError  # slow to import, and `run` writes only

    try:
        return TypeAdapter(Running).validate_json(registry_file().read_bytes())
    except (OSError, ValidationError):
        return None


def _lease_seconds(env: Mapping[str, str]) -> float:
    try:
        return float(env.get("LEASE_SECONDS") or 15)
    except ValueError:
        return 15.0
