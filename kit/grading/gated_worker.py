"""A worker behind a gate before Redis, and one run of it as an operation that can be explored."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

from explorer import Actor, Data, Gate
from kit.grading.api import Api, curl
from kit.grading.failure import Wrong
from kit.grading.runs import run_id_of, status
from kit.processes.child import Child

START = "nb_runner/main.py: start()"
TASK = "nb_runner/tasks.py"
TIMEOUT = 30.0  # seconds for one run: much more than it takes, also on a busy machine
POLL_INTERVAL = 0.005  # seconds


class GatedWorker:
    """One worker of the project, the gate through which it reaches Redis, and an API to call.

    The API must not be one that is held at the same time. `start` starts the worker: at first, and
    again when it was killed. Runs should be short: `reset` performs one.
    """

    def __init__(
        self,
        name: str,
        gate: Gate,
        api: Api,
        data: Data,
        child: Child,
        start: Callable[[], Child],
    ) -> None:
        self.name, self.gate, self.api, self.data, self.child = name, gate, api, data, child
        self.run_id = ""  # of the newest run
        self.body: Any = None  # of its start
        self._start = start

    def actor(self) -> Actor:
        """A run by this worker, as an operation that an explorer holds and lets go on."""
        return Actor(self.name, self.gate, self.run, lambda: self.child.pid)

    def run(self) -> str:
        """Start a run, and wait until the worker has done with it. Returns its status."""
        self.run_id = ""
        answer = self.api.post("/start", self.body).expect(202, "no run is in the way", START)
        self.run_id = run_id_of(answer)
        return self.finish(self.run_id)

    def finish(self, run_id: str) -> str:
        """Wait until the worker has done with that run. Returns its status."""
        deadline = time.monotonic() + TIMEOUT
        while not self.has_done_with(run_id):
            if not self.child.running:
                break
            if time.monotonic() > deadline:
                did = curl("GET", f"/status/{run_id}")
                got = f"{status(self.api, run_id)}, and the worker is still at it"
                raise Wrong(did, f"the end of its task within {TIMEOUT:g} s", got, TASK)
            time.sleep(POLL_INTERVAL)
        return status(self.api, run_id)

    def has_done_with(self, run_id: str) -> bool:
        """Whether the worker's log tells the end of that run's task, whatever its end was."""
        ended = rf"\[{re.escape(run_id)}\] (succeeded|raised|rejected|ignored|retry|revoked)"
        discarded = rf"Discarding revoked task: [\w.]+\[{re.escape(run_id)}\]"
        return re.search(f"{ended}|{discarded}", self.child.output()) is not None

    def reset(self) -> None:
        """Make all as at first: the worker is there and idle, and Redis is empty.

        Messages come in order. So when a new run has ended, the worker is done with all before it.
        """
        self.gate.open()
        if not self.child.running:
            self.child = self._start()
        self.data.redis.flushdb()
        self.run()
        self.data.redis.flushdb()

    def kernels(self) -> list[psutil.Process]:
        """The processes that its runs have started: the children of its children."""
        with suppress(psutil.Error):
            children = psutil.Process(self.child.pid).children()
            return [one for child in children for one in child.children(recursive=True)]
        return []
