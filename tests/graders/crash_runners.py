"""For the grader of exercise 12: the project's processes, once for each thing that is decided.

Each runner has its own database in one Redis. `pace` says how much longer all may take: see
crash_chain.py.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psutil

from explorer import Actor, Data, processes
from explorer.play import Play
from kit.grading.api import Answer, Api, curl
from kit.grading.failure import Wrong, require
from kit.grading.gated import Gated
from kit.grading.gated_worker import GatedWorker
from kit.grading.runs import ACTIVE, run_id_of
from kit.grading.runs import status as status_of
from kit.grading.submission import Submission
from kit.processes.child import Child

from .crash_kernels import NO_KERNEL, Kernels, write_notebook

HOUR = 3600.0  # seconds
LEASE = HOUR  # LEASE_SECONDS where time passes for the data only
SHORT_LEASE = 3.0  # where time passes
KILLED_LEASE = 1.5  # of the worker that is killed: the grader waits for the end of its lease
TIMEOUT = 30.0  # seconds for steps that take long on a busy machine only
KERNEL_TIMEOUT = 60.0  # seconds for a kernel to start
POLL_INTERVAL = 0.02  # seconds
NOTICED = 0.1  # seconds by which a renewal prolongs a lease at least
SLOW = 0.2  # seconds for an answer that takes a hundredth on a quiet machine
TRIES = 3

START = "nb_runner/main.py: start()"
CLAIM = "nb_runner/tasks.py: run_notebook()"
CANCELS = "nb_runner/main.py: cancel()"
HEARTBEAT = "nb_runner/lease.py: Heartbeat._beat() and renew()"
AT_WORK = "RUNNING, for as long as the notebook runs: the worker lives, and says so"


def eventually(check: Callable[[], object], seconds: float = TIMEOUT) -> bool:
    """Wait until `check` is true. Whether it was true in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL)
    return True


class Gates:
    """API processes and workers with a gate each: what all runners here have."""

    def __init__(
        self,
        submission: Submission,
        database: int,
        pace: float,
        *,
        apis: int = 1,
        workers: int = 1,
        lease: float = LEASE,
        worker_lease: float = LEASE,
    ) -> None:
        self.pace = pace
        folder = submission.state / f"runner-{database}-{pace:g}"
        self.kernels = Kernels(folder)
        self.notebook = folder / "notebook.ipynb"
        write_notebook(self.notebook, self.kernels.source)
        self._slowest = 0.0
        self.gated = Gated(
            submission,
            apis=apis,
            gated_workers=workers,
            env={
                "LEASE_SECONDS": f"{lease:g}",
                "NOTEBOOK_PATH": str(self.notebook),
            },
            worker_env={"LEASE_SECONDS": f"{worker_lease:g}"},
            redis_url=urlsplit(submission.redis_url)._replace(path=f"/{database}").geturl(),
        )
        self.workers = self.gated.workers
        self.worker: GatedWorker = self.workers[0]
        self.api: Api = self.gated.apis[0].api
        self.data = self.gated.data
        self.gated.reset()

    @property
    def disturbed(self) -> bool:
        """Whether an answer took very long. Then other processes may have been late, too."""
        return self._slowest > SLOW

    def close(self) -> None:
        """End all processes."""
        for child in [*(each.child for each in self.workers), *(a.child for a in self.gated.apis)]:
            child.kill()
        self.gated.close()

    def status(self, run_id: str) -> str:
        """The status of a run."""
        began = time.monotonic()
        try:
            return status_of(self.api, run_id)
        finally:
            self._slowest = max(self._slowest, time.monotonic() - began)

    def active(self, run_id: str) -> bool:
        """Whether the run is in the way of others."""
        return self.status(run_id) in ACTIVE

    def status_within(self, seconds: float, run_id: str) -> str:
        """The status of a run at its end, or after so many seconds."""
        eventually(lambda: not self.active(run_id), seconds)
        return self.status(run_id)

    def start(self) -> str:
        """Start a run. Returns its id."""
        return run_id_of(self.api.post("/start").expect(202, "no run is in the way", START))

    def begun(self, run_id: str) -> str:
        """The status of a run once it is not QUEUED any more."""
        eventually(lambda: self.status(run_id) != "QUEUED")
        return self.status(run_id)

    def kernel_of(self, run_id: str) -> int | None:
        """The kernel that executes that run. None: the run has ended before its first cell."""
        eventually(lambda: self.kernels.any() or not self.active(run_id), KERNEL_TIMEOUT)
        return min(self.kernels.new(), default=None)

    def new_run(self, did: str) -> tuple[str, int]:
        """A run with a kernel at work, and the kernel: of a run that has been started, or of a new
        one.

        A run that fails before its first cell is tried once more: a kernel chooses free ports and
        opens them a moment later, and another process may have been quicker.
        """
        for _ in range(TRIES):
            run_id = self.take_started()
            now = self.begun(run_id)
            require(now == "RUNNING", curl("GET", f"/status/{run_id}"), "RUNNING", now, CLAIM)
            self.claimed()
            if (kernel := self.kernel_of(run_id)) is not None:
                return run_id, kernel
            if (now := self.status(run_id)) != "FAILED":
                break
        where = HEARTBEAT if now == "LOST" else CLAIM
        raise Wrong(did, AT_WORK, f"{now}, before its first cell", where)

    def take_started(self) -> str:
        """A run that is used now."""
        return self.start()

    def claimed(self) -> None:
        """A worker has begun a run."""


class Steps(Gates):
    """Two API processes, a worker and a lease of an hour: all their points are tried.

    The notebook names a kernel that does not exist, so a run fails at once, and all points of a
    run are tried in a second. Nothing waits here: time passes for the data.
    """

    def __init__(self, submission: Submission, pace: float) -> None:
        super().__init__(submission, 0, pace, apis=2)
        write_notebook(self.notebook, "", kernel=NO_KERNEL)
        self.starts = [each.actor("POST", "/start") for each in self.gated.apis]
        self.actor = self.worker.actor()

    @contextmanager
    def without_worker(self) -> Iterator[list[Actor]]:
        """A start for each of the API processes, while no worker takes a message."""
        with self.worker.paused():
            yield self.starts
        self.worker.reset()

    @contextmanager
    def with_kernel(self, source: str) -> Iterator[None]:
        """Runs have a kernel meanwhile, and this notebook."""
        self.worker.reset()
        write_notebook(self.notebook, source)
        try:
            yield
        finally:
            write_notebook(self.notebook, "", kernel=NO_KERNEL)


class Killed(Gates):
    """An API process and a worker, both with a lease that ends soon. The worker is to be killed."""

    def __init__(self, submission: Submission, pace: float) -> None:
        self.lease = KILLED_LEASE * pace
        super().__init__(submission, 1, pace, lease=self.lease, worker_lease=self.lease)

    def run_and_kill(self) -> str:
        """Kill the worker in the middle of a run. Returns the run's id."""
        for _ in range(TRIES):
            run_id = self.start()
            if (now := self.begun(run_id)) == "RUNNING":
                break  # else the lease was over before the worker came: the machine is busy
        require(now == "RUNNING", curl("GET", f"/status/{run_id}"), "RUNNING", now, CLAIM)
        self.worker.kill()
        return run_id


class Beats(Gates):
    """Workers with a lease of seconds, so that their hearts are seen to beat.

    The lease that the API takes lasts for an hour: it is there for however long a worker needs to
    come to it.
    """

    def __init__(self, submission: Submission, pace: float) -> None:
        self.lease = SHORT_LEASE * pace
        super().__init__(submission, 2, pace, workers=2, worker_lease=self.lease)
        self.running: tuple[str, int] | None = None  # a run that the next test uses
        self._started = ""
        with suppress(Wrong):  # the test that needs it will say so
            self.begin()

    def begin(self) -> None:
        """Start the run that the next test uses."""
        self._started = self.start()

    def take_started(self) -> str:
        run_id, self._started = self._started or self.start(), ""
        return run_id

    def claimed(self) -> None:
        """Let the lease end when one of the worker would end, whoever has made it."""
        redis = self.data.redis
        for key in redis.scan_iter():
            if redis.pttl(key) > self.lease * 1000:
                redis.pexpire(key, int(self.lease * 1000))

    def take_running(self) -> tuple[str, int]:
        """A run with a kernel at work, and the kernel: of the test before, else a new one."""
        running, self.running = self.running, None
        return running or self.new_run(self.long_run)

    @property
    def long_run(self) -> str:
        """What the grader does."""
        long = f"a notebook that takes longer than its lease ({self.lease:g} s here)"
        return f"{curl('POST', '/start')}, and {long}"

    def worker_of(self, kernel: int) -> GatedWorker:
        """The worker that started this kernel."""
        with suppress(psutil.Error):
            ancestors = {process.pid for process in psutil.Process(kernel).parents()}
            for worker in self.workers:
                if worker.child.pid in ancestors:
                    return worker
        return self.worker

    def be_silent(self, worker: GatedWorker) -> None:
        """Let Redis give the worker no answer for a moment.

        It lasts until the worker asks once more, and not longer than a third of the lease: that
        is what a run survives.
        """
        gate = worker.gate
        gate.hold()
        if gate.wait(lambda: bool(gate.held), self.lease):
            gate.wait(lambda: len(gate.held) > 1, self.lease / 3)
        gate.open()

    def require_renewal(self, run_id: str, did: str) -> None:
        """Wait until the lease is renewed. Raises Wrong when it ends before."""
        before, deadline = self._ends(), time.monotonic() + TIMEOUT
        while not any(end > before.get(key, 0) + NOTICED for key, end in self._ends().items()):
            got = "the lease has no end, or nobody prolongs it"
            require(time.monotonic() < deadline, did, "a lease that is renewed", got, HEARTBEAT)
            time.sleep(POLL_INTERVAL)
            now = self.status(run_id)
            require(now == "RUNNING", did, AT_WORK, now, HEARTBEAT)

    def _ends(self) -> dict[bytes, float]:
        """When each key will end that ends by itself."""
        redis = self.data.redis
        left = {key: redis.pttl(key) / 1000 for key in redis.scan_iter()}
        return {key: time.monotonic() + seconds for key, seconds in left.items() if seconds > 0}


class Cancels(Gates):
    """A worker with a lease of an hour: a cancel is obeyed within a second or two all the same."""

    def __init__(self, submission: Submission, pace: float) -> None:
        super().__init__(submission, 3, pace)
        self._actor = self.worker.actor()

    def cancel_late(self) -> str:
        """Start a run, and cancel it at the last moment at which it is QUEUED. Returns its id.

        The worker goes on until it has a kernel: nbclient needs five seconds to notice the end of
        one that is just being started. A run that fails is tried once more: its kernel may have
        found a port taken.
        """
        queued, all_but_last = self._commands()
        write_notebook(self.notebook, self.kernels.source)
        for _ in range(TRIES):
            self.worker.reset()
            self.kernels.new()
            game = hold_run(self._actor, self.data)
            game.go(queued)
            run_id = self.worker.run_id
            self.api.post("/cancel").expect(202, f"run {run_id} is queued", CANCELS)
            game.go(all_but_last - queued)
            eventually(lambda: self.kernels.any() or self._actor.ended, KERNEL_TIMEOUT)
            self._actor.release()
            if self.kernels.any() or self.status(run_id) != "FAILED":
                break
        return run_id

    def start_one_that_fails(self) -> Answer:
        """Start a run that fails at once, as soon as no other is in the way. Returns the answer."""
        write_notebook(self.notebook, "", kernel=NO_KERNEL)
        answers = [self.api.post("/start")]

        def accepted() -> bool:
            answers.append(self.api.post("/start"))
            return answers[-1].status == 202

        if answers[0].status != 202:
            eventually(accepted, TIMEOUT)
        return answers[-1]

    def _commands(self) -> tuple[int, int]:
        """How many commands a worker sends for a run: while it is QUEUED, and before its end."""
        write_notebook(self.notebook, "", kernel=NO_KERNEL)
        self.worker.reset()
        game = hold_run(self._actor, self.data)
        queued = 0
        while self._actor.settle(TIMEOUT) and not self._actor.ended:
            if self.status(self.worker.run_id) == "QUEUED":
                queued = len(game.steps)
            game.go(1)
        return queued, len(game.steps) - 1


def hold_run(actor: Actor, data: Data) -> Play:
    """Start a run. Its worker is held before its first command."""
    game = Play([actor], data, ())
    game.start()
    actor.settle(TIMEOUT)
    return game


@contextmanager
def paused(child: Child) -> Iterator[None]:
    """A worker stands still meanwhile, with its kernel."""
    processes.pause(child.pid)
    try:
        yield
    finally:
        processes.wake(child.pid)
