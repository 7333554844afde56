"""A worker behind a gate before Redis, and one run of it as an operation that can be explored."""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from explorer import Actor, Gate, processes
from kit.grading.api import Answer, Api, curl
from kit.grading.runner.data import RunnerData
from kit.grading.runner.runs import run_id_of, status
from kit.grading.runner.task_events import TaskEvents
from kit.grading.submission import Submission
from kit.processes.child import Child
from kit.verdicts.failure import Wrong

START = "nb_runner/main.py: start()"
TASK = "nb_runner/tasks.py"
TIMEOUT = 30.0  # seconds for one run: much more than it takes, also on a busy machine
POLL_INTERVAL = 0.005  # seconds
BEGIN_TIMEOUT = 1.0  # seconds in which a worker begins a run
# Seconds from the end of a task in the log to its event. An ignored task has no event.
EVENT_TIMEOUT = 1.0
YEAR = 365 * 24 * 3600.0  # seconds


class GatedWorker:
    """One worker of the project, the gate through which it reaches Redis, and an API to call.

    The API must not be one that is held at the same time. `env` is for a worker that is started
    anew. Runs should be short: `reset` performs one. `close` ends its subscription, not the worker.
    """

    def __init__(
        self,
        name: str,
        gate: Gate,
        api: Api,
        data: RunnerData,
        child: Child,
        submission: Submission,
        env: Mapping[str, str],
    ) -> None:
        self.name, self.gate, self.api, self.data, self.child = name, gate, api, data, child
        self._run_id = ""
        self._answered = threading.Event()
        self.body: Any = None  # of its start
        self.env = env
        self._submission = submission
        self._events = TaskEvents(data.redis)
        self._logged: dict[str, float] = {}  # when the end of a run was first seen in the log

    def close(self) -> None:
        """End the subscription to the events of its tasks."""
        self._events.close()

    @property
    def run_id(self) -> str:
        """The id of the newest run. The worker may begin it before its start is answered."""
        self._answered.wait(TIMEOUT)
        return self._run_id

    def actor(self) -> Actor:
        """A run by this worker, as an operation that an explorer holds and lets go on."""
        return Actor(self.name, self.gate, self.run, lambda: self.child.pid)

    def run(self) -> str:
        """Start a run, and wait until the worker has done with it. Returns its status."""
        self.begin()
        return self.finish(self._run_id)

    def begin(self) -> None:
        """Start a run."""
        self._run_id = ""
        self._answered.clear()
        try:
            self._run_id = run_id_of(self._start())
        finally:
            self._answered.set()

    def take(self) -> None:
        """Start a run. The worker is held before its first command for it."""
        self.gate.hold()
        self.begin()
        self.gate.wait(lambda: bool(self.gate.held), TIMEOUT)

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

    @property
    def kills_run(self) -> bool:
        """Whether the worker kills the newest run, or has killed it, because it was told to."""
        return f"Terminating {self.run_id} (" in self.child.output()

    def has_done_with(self, run_id: str) -> bool:
        """Whether the worker sends no more commands for that run's task, whatever its end was.

        Where no event tells of it, some time after its end stands in the log is enough. When a
        worker kills a run, its parent process still writes that down.
        """
        ended = rf"\[{re.escape(run_id)}\] (succeeded|raised|rejected|ignored|retry|revoked)"
        discarded = rf"Discarding revoked task: [\w.]+\[{re.escape(run_id)}\]"
        killed = rf"Terminating {re.escape(run_id)} \("
        if re.search(f"{ended}|{discarded}|{killed}", self.child.output()) is None:
            return False
        logged = self._logged.setdefault(run_id, time.monotonic())
        return self._events.has_ended(run_id) or time.monotonic() > logged + EVENT_TIMEOUT

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The worker stands still meanwhile, with all that it has started."""
        processes.pause(self.child.pid)
        try:
            yield
        finally:
            processes.wake(self.child.pid)

    def reset(self) -> None:
        """Make all as at first: the worker is there and idle, and Redis is empty.

        Messages come in order. So when one more run has ended, the worker is done with all before.
        It is held until whatever is like a lease has ended: then it finds nothing to do.
        """
        self.gate.open()
        self.revive()
        self.gate.hold()
        self.data.forget()
        answer = self._start()
        self.gate.wait(lambda: bool(self.gate.held), BEGIN_TIMEOUT)
        self.data.advance(YEAR)
        self.gate.open()
        try:
            self.finish(run_id_of(answer))
        except Wrong:  # what it hangs in is for another test to say
            self.kill()
            self.revive()
        self.data.forget()

    def kill(self) -> None:
        """SIGKILL for it, and the end of its connections.

        Redis would give the next message to the dead worker while it takes its connection for open.
        """
        self.child.kill()
        self.gate.drop()

    def revive(self) -> None:
        """Start it again if it was killed."""
        if not self.child.running:
            self.child = self._submission.worker(self.env)

    def _start(self) -> Answer:
        return self.api.post("/start", self.body).expect(202, "no run is active", START)
