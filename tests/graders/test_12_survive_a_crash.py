"""Exercise 12: a worker that dies, a Redis that does not answer, a worker that wakes up too late.

The notebook writes a file named after its kernel's process id, and then waits until the grader lets
it end. So these tests do not depend on the speed of the machine.
"""

import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import nbformat
import psutil
import pytest
import redis as redis_client

from kit.errors import KitError
from kit.grading.api import Answer, Api, curl
from kit.grading.failure import Wrong, require
from kit.grading.submission import Submission
from kit.grading.values import times
from kit.processes.child import Child
from kit.processes.redis_tiers import INSTALL_REDIS

LEASE = 4.0  # seconds; LEASE_SECONDS of the runner
TIMEOUT_MARGIN = 8.0  # seconds in addition to the expected time
TIMEOUT = 30.0  # seconds for steps that take long on a busy machine only

START = "nb_runner/main.py: start()"
TAKE = "nb_runner/lease.py: take()"
LOST = "nb_runner/lease.py: take() and nb_runner/runs.py: get()"
HEARTBEAT = "nb_runner/lease.py: Heartbeat._beat() and renew()"
RELEASE = "nb_runner/lease.py: release() and renew()"
CLAIM = "nb_runner/tasks.py: run_notebook()"
CANCEL = "nb_runner/lease.py: Heartbeat._beat() and nb_runner/tasks.py: run_notebook()"

CELLS = (
    """
import os, pathlib, time
here = pathlib.Path({here!r})
(here / f"{{os.getpid()}}.ran").touch()
""",
    """
end = time.monotonic() + 200
while not (here / f"{{os.getpid()}}.go").exists() and time.monotonic() < end:
    time.sleep(0.05)
""",
    "print('done')",
)


def eventually(check: Callable[[], object], seconds: float) -> bool:
    """Wait until `check` is true. Whether it was true in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Runner:
    """The submission's API and workers, with a notebook that waits until the grader lets it end."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.redis = submission.redis
        self.marks = submission.state / "marks"
        self.marks.mkdir()
        notebook = submission.state / "waits.ipynb"
        sources = [cell.format(here=str(self.marks)).strip() for cell in CELLS]
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
        self.env = {"LEASE_SECONDS": f"{LEASE:g}", "NOTEBOOK_PATH": str(notebook)}
        self.known_kernels: set[int] = set()
        self.run_to_continue: tuple[str, int] | None = None  # the next test uses it
        self.last_test_failed = False  # then the next test begins with `reset`
        self.api = submission.up(api=1, workers=3, env=self.env)
        # A process stops waiting for Redis after a part of the lease. This one waits longer.
        self.long_lease_api = submission.up(api=1, env=self.env | {"LEASE_SECONDS": "60"})

    def workers(self) -> list[Child]:
        return [child for child in self.submission.workers if child.running]

    def reset(self) -> None:
        """Kill all workers, and remove all runs and messages."""
        for child in self.workers():
            child.kill()
        self.redis.flushdb()
        self.run_to_continue = None

    @contextmanager
    def prepared(self, workers: int) -> Iterator[None]:
        """Run one test with at least so many workers. Resets first if the test before it failed."""
        if self.last_test_failed:
            self.reset()
        while len(self.workers()) < workers:
            self.submission.worker(self.env)
        self.last_test_failed = True
        yield
        self.last_test_failed = False

    def status(self, run_id: str, api: Api | None = None) -> str:
        answer = (api or self.api).get(f"/status/{run_id}")
        where = "nb_runner/runs.py: get()"
        return str(answer.expect(200, "that run was started", where).field("status", where))

    def new_kernels(self) -> set[int]:
        """The kernels that have begun to execute the notebook and are not known yet."""
        marks = {int(mark.stem) for mark in self.marks.glob("*.ran")}
        return marks - self.known_kernels

    def wait_for_kernel(self, started: Answer) -> tuple[str, int]:
        """Wait until a run has a kernel at work. Returns the run's id and the kernel's pid."""
        run_id = str(started.field("run_id", START))
        if not eventually(self.new_kernels, TIMEOUT):
            got = f"{self.status(run_id)}, and no cell has run within {TIMEOUT:g} s"
            raise Wrong(curl("GET", f"/status/{run_id}"), "RUNNING", got, CLAIM)
        kernel = min(self.new_kernels())
        self.known_kernels.add(kernel)
        return run_id, kernel

    def start_run(self) -> tuple[str, int]:
        """Start a run, and wait until its kernel is at work."""
        return self.wait_for_kernel(
            self.api.post("/start").expect(202, "nothing else is running", START)
        )

    def start_with_retries(self, api: Api) -> Answer:
        """Try to start a run until it is accepted. Returns the last answer."""
        answers: list[Answer] = []

        def started() -> bool:
            answers.append(api.post("/start"))
            return answers[-1].status == 202

        eventually(started, LEASE + TIMEOUT_MARGIN)
        return answers[-1]

    def worker_of(self, kernel: int) -> Child:
        """The worker that started this kernel."""
        with suppress(psutil.Error):
            ancestors = {process.pid for process in psutil.Process(kernel).parents()}
            for child in self.workers():
                if child.pid in ancestors:
                    return child
        return self.workers()[0]

    def let_notebook_end(self, kernel: int) -> None:
        (self.marks / f"{kernel}.go").touch()

    def require_success(self, run_id: str, kernel: int, where: str) -> None:
        """Let the notebook end. Raises Wrong unless the run succeeds."""
        self.let_notebook_end(kernel)
        eventually(lambda: self.status(run_id) not in ("QUEUED", "RUNNING"), TIMEOUT)
        did, status = curl("GET", f"/status/{run_id}"), self.status(run_id)
        require(status == "SUCCEEDED", did, "SUCCEEDED (its notebook ended)", status, where)

    def require_lost(self, run_id: str, did: str, since: str) -> None:
        """Raise Wrong unless the run is LOST within one lease."""
        eventually(lambda: self.status(run_id) == "LOST", LEASE + TIMEOUT_MARGIN)
        require(
            (status := self.status(run_id)) == "LOST",
            f"{did}\n{curl('GET', f'/status/{run_id}')}",
            f"LOST, within one lease ({LEASE:g} s here)",
            f"{status}, {LEASE + TIMEOUT_MARGIN:g} s after {since}",
            LOST,
        )

    def require_expiry(self) -> None:
        """Raise Wrong unless a key in Redis expires by itself while a run is active."""
        ends = [key for key in self.redis.scan_iter() if self.redis.pttl(key) > 0]
        require(
            ends,
            "curl -i -X POST http://127.0.0.1:8000/start, and asked Redis for the PTTL of each key",
            "a lease that ends by itself unless it is renewed",
            "none of the keys has an end: a process that dies with the lease holds it for ever",
            TAKE,
        )


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Runner:
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 12 needs a real Redis: it kills one", INSTALL_REDIS) from None
    return Runner(submission)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def signal_tree(child: Child, number: int) -> None:
    """Send a signal to a process and to all below it."""
    with suppress(psutil.Error):
        process = psutil.Process(child.pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                each.send_signal(number)


def pause_redis(redis: "redis_client.Redis", seconds: float, which: str = "ALL") -> None:
    """Make Redis answer no command (or no `WRITE`) for a while. It still accepts connections."""
    command = ("CLIENT", "PAUSE", str(int(seconds * 1000)), which)
    redis.execute_command(*command)  # type: ignore[no-untyped-call]


def recorded_commands(monitor: "redis_client.client.Monitor", until: str) -> Iterator[list[str]]:
    """The commands of clients (not of scripts) that Redis received, until the word `until`."""
    for recorded in monitor.listen():  # type: ignore[no-untyped-call]
        words = str(recorded["command"]).split(" ")
        if until in words:
            return
        if recorded["client_type"] != "lua":
            yield words


def takes_without_expiry(words: list[str]) -> bool:
    """Whether the command takes a key that has no expiry."""
    verb, *options = [word.upper() for word in words]
    if verb == "SETNX":
        return True
    ends = {"PX", "EX", "PXAT", "EXAT"}
    return verb == "SET" and "NX" in options and not ends & set(options)


@pytest.mark.task("12.1")
def test_the_lease_is_taken_in_one_step(runner: Runner) -> None:
    with runner.prepared(workers=2), runner.redis.monitor() as monitor:  # type: ignore[no-untyped-call]
        # Redis answers reads, and delays writes: all starts read before one of them writes.
        pause_redis(runner.redis, 1, "WRITE")
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: runner.long_lease_api.post("/start"), range(6)))
        runner.redis.echo("workshop-heard-enough")
        recorded = list(recorded_commands(monitor, "workshop-heard-enough"))
        admitted = [answer for answer in answers if answer.status == 202]
        require(
            len(admitted) < 2,
            "for i in 1 2 3 4 5 6; do curl -X POST http://127.0.0.1:8000/start & done; wait",
            "202 Accepted for one of six starts at the same time, 409 Conflict for the others",
            f"{times(len(admitted))} 202: they looked, all saw nobody, and all took the lease",
            TAKE,
        )
        for words in recorded:
            require(
                not takes_without_expiry(words),
                curl("POST", "/start"),
                "a lease that ends by itself from the moment it is taken: one SET with NX and PX",
                f"Redis was sent: {' '.join(words)[:200]}",
                TAKE,
            )
        if not admitted:  # an API that does not wait long takes a paused Redis for a dead one
            again = runner.start_with_retries(runner.long_lease_api)
            admitted = [again.expect(202, "for one of six starts", START)]
        run_id, kernel = runner.wait_for_kernel(admitted[0])
        runner.require_expiry()
        runner.require_success(run_id, kernel, CLAIM)  # its lease is longer than the others'


@pytest.mark.task("12.1")
def test_a_run_whose_worker_died_is_lost_and_makes_way(runner: Runner) -> None:
    with runner.prepared(workers=2):
        run_id, kernel = runner.run_to_continue or runner.start_run()
        runner.run_to_continue = None
        answer = runner.api.post("/start").expect(409, f"run {run_id} is in the way", TAKE)
        answer.object("nb_runner/main.py: busy()")
        runner.worker_of(kernel).kill()
        runner.require_lost(run_id, "./workshop break worker", "its worker was killed")
        runner.run_to_continue = runner.start_run()


@pytest.mark.task("12.2")
def test_a_run_keeps_its_lease_for_as_long_as_it_takes(runner: Runner) -> None:
    with runner.prepared(workers=1):
        run_id, kernel = runner.run_to_continue or runner.start_run()
        runner.run_to_continue = None
        runner.require_expiry()
        silence = LEASE * 3 / 8
        began = time.monotonic()
        pause_redis(runner.redis, silence)
        runner.redis.ping()  # Redis answers when the pause is over
        while time.monotonic() < began + LEASE + 1:
            status = runner.status(run_id)
            require(
                status == "RUNNING",
                f"{curl('POST', '/start')}, and a notebook that takes longer than its lease "
                f"({LEASE:g} s here), with a Redis that is silent for {silence:g} s of it",
                "RUNNING, for as long as the notebook runs: the worker lives, and says so",
                status,
                HEARTBEAT,
            )
            time.sleep(0.1)
        runner.api.post("/start").expect(409, f"run {run_id} is in the way", HEARTBEAT)
        runner.require_success(run_id, kernel, HEARTBEAT)


@pytest.mark.task("12.3")
def test_a_paused_worker_takes_nothing_away_when_it_wakes_up(runner: Runner) -> None:
    with runner.prepared(workers=2):
        old, kernel = runner.start_run()
        runner.require_expiry()
        paused = runner.worker_of(kernel)
        signal_tree(paused, signal.SIGSTOP)
        try:
            runner.require_lost(old, "./workshop break pause", "its worker was paused")
            new, new_kernel = runner.start_run()
        finally:
            signal_tree(paused, signal.SIGCONT)
        did = f"./workshop run 12 --workers 2\n./workshop break pause\n{curl('POST', '/start')}"
        require(
            eventually(lambda: not alive(kernel), TIMEOUT / 2),
            f"{did}\nand waited for the paused worker to wake up",
            f"that it ends its kernel: run {old} lost its lease, and run {new} is at work",
            f"the kernel of run {old} works on, so there are two",
            "nb_runner/lease.py: renew() and Heartbeat._beat()",
        )
        # The worker gives up its lease at the end of its task, and its log tells when that is.
        ended = re.compile(re.escape(old) + r"\] (succeeded|raised)")
        eventually(lambda: ended.search(paused.output()), TIMEOUT / 3)
        watched = time.monotonic()
        while time.monotonic() < watched + LEASE / 3:
            status = runner.status(new)
            require(
                status == "RUNNING",
                f"{did}\n{curl('GET', f'/status/{new}')} when the paused worker has woken up",
                f"RUNNING: the lease is run {new}'s, and none of the other worker's business",
                f"{status}: the worker that woke up took the lease away from it",
                RELEASE,
            )
            time.sleep(0.1)
        runner.api.post("/start").expect(409, f"run {new} is in the way", RELEASE)
        runner.require_success(new, new_kernel, RELEASE)


@pytest.mark.task("12.4")
def test_a_running_notebook_is_cancelled_with_its_kernel(runner: Runner) -> None:
    with runner.prepared(workers=1):
        run_id, kernel = runner.start_run()
        runner.api.post("/cancel").expect(202, f"run {run_id} is to end", "nb_runner/main.py")
        did = f"{curl('POST', '/cancel')}\n{curl('GET', f'/status/{run_id}')}"
        eventually(lambda: runner.status(run_id) == "CANCELLED", TIMEOUT_MARGIN + 2)
        status = runner.status(run_id)
        got = f"{status}, {TIMEOUT_MARGIN + 2:g} s later"
        require(status == "CANCELLED", did, "CANCELLED a moment later", got, CANCEL)
        require(
            eventually(lambda: not alive(kernel), TIMEOUT_MARGIN),
            did,
            "that the run's kernel is gone",
            "it still runs",
            CANCEL,
        )
        again = runner.start_with_retries(runner.api)
        again.expect(202, f"run {run_id} has ended, and makes way", CANCEL)
        runner.wait_for_kernel(again)


@pytest.mark.task("12.4")
def test_a_run_that_was_cancelled_before_a_worker_came_never_runs(runner: Runner) -> None:
    with runner.prepared(workers=0):
        runner.reset()
        runner.known_kernels |= runner.new_kernels()
        env = runner.env | {"LEASE_SECONDS": "60"}  # a worker may take its time to start
        api = runner.submission.up(api=1, env=env)
        started = api.post("/start").expect(202, "nothing is running", START)
        run_id = str(started.field("run_id", START))
        api.post("/cancel").expect(202, f"run {run_id} is to end", "nb_runner/main.py: cancel()")
        runner.submission.worker(env)
        did = (
            "./workshop run 12 --workers 0\n"
            f"{curl('POST', '/start')}\n{curl('POST', '/cancel')}\nthen started a worker"
        )
        again: list[Answer] = []

        def started_or_executed() -> bool:
            again.append(api.post("/start"))
            return again[-1].status == 202 or bool(runner.new_kernels())

        # Messages come in order: when the second run is at work, the first has been skipped.
        decided = eventually(started_or_executed, TIMEOUT / 2)
        executed = f"the notebook was executed; run {run_id} is {runner.status(run_id, api)}"
        require(
            again[-1].status == 202 or not decided,
            did,
            "that the cancelled run is never executed",
            executed,
            CANCEL,
        )
        again[-1].expect(202, "once a worker has put the cancelled run aside", CLAIM)
        second = str(again[-1].field("run_id", START))
        eventually(lambda: runner.status(second, api) != "QUEUED" and runner.new_kernels(), TIMEOUT)
        require(
            len(runner.new_kernels()) <= 1,
            did,
            "one run of the notebook: the second",
            executed,
            CANCEL,
        )
        status = runner.status(run_id, api)
        require(status == "CANCELLED", did, f"CANCELLED for run {run_id}", status, CANCEL)
