"""Exercise 14: a kernel ends when its worker does, and takes along what its cells have started.

The grader keeps two runners of the project, on two databases of one Redis, and uses them at the
same time:

- `patient`: a lease of a minute. Its first worker executes two runs to their end, and is killed in
  the third one. Its second worker is told to cancel.
- `silent`: a lease of seconds, because here the time has to pass. Its worker is stopped.

A cell of their notebook starts two processes, and then holds the GIL: it calls a function of C that
sleeps, so no other thread of the kernel gets a turn.
"""

import functools
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

import psutil
import pytest
import redis as redis_client

from kit.errors import KitError
from kit.grading.api import curl
from kit.grading.diagnosis import reason
from kit.grading.programs.guarded import BEAT_TIMEOUT, SILENCE
from kit.grading.programs.start import Program
from kit.grading.runner.data import RunnerData
from kit.grading.runner.probe import Probe, gate
from kit.grading.runner.runs import ACTIVE, status
from kit.grading.submission import Submission
from kit.grading.waiting import TIMEOUT, Stalls, eventually
from kit.processes.child import Child
from kit.processes.redis_tiers import INSTALL_REDIS
from kit.verdicts.failure import Wrong, require

LEASE = 60.0  # seconds; where time passes for the data only
SHORT_LEASE = 3.0  # seconds; where time passes
KEPT = SHORT_LEASE  # seconds for which a kernel whose worker beats has to live
GONE_TIMEOUT = 8.0  # seconds for processes to be gone that end in a moment
TRIES = 3

CANCEL = "nb_runner/main.py: cancel()"
LAUNCH = "nb_runner/kernel.py: launch_kernel(), and nb_runner/guard.py: main()"
GUARD = "nb_runner/guard.py: wait_for_the_end()"
GROUP = "nb_runner/guard.py: main()"
BEATS = "nb_runner/guard.py: wait_for_the_end(), and nb_runner/lease.py: Heartbeat._beat()"

KILL = "./workshop break worker   (while a cell holds the GIL)\nand one lease later:\n"
KILL += curl("POST", "/start")
EXITED = "a cell starts a process, and then calls os._exit(0)"
STOP = "kill -STOP, for the worker and its pool process: they are silent, and hold the lifeline"

START_PROCESSES = """
import ctypes, subprocess
quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
orphan = subprocess.check_output(
    ["sh", "-c", "trap '' TERM; sleep 200 >/dev/null & echo $!"], **quiet
)
tree = [os.getpid(), int(orphan)]
if orders["then"] == "hold":
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 200"], **quiet)
    tree.append(child.pid)
(desk / f"draft-{mark}").write_text(json.dumps(tree))
(desk / f"draft-{mark}").rename(desk / f"tree-{mark}")
if orders["then"] == "hold":
    ctypes.PyDLL(None).sleep(200)
"""
GATE = "end"
EXIT = """
if orders["then"] == "exit":
    os._exit(0)
"""


@dataclass(frozen=True)
class Run:
    """A run whose cell has started its processes."""

    run_id: str
    kernel: psutil.Process
    others: list[psutil.Process]  # in the kernel's group: an orphan, and a child
    deadline: float = math.inf  # when all of it has to be gone

    def over(self) -> Self:
        """The same run, which has just ended, or was told to end."""
        return replace(self, deadline=time.monotonic() + GONE_TIMEOUT)

    def kernel_gone(self) -> bool:
        """Wait for the end of the kernel. Whether it came in time."""
        return eventually(lambda: not alive(self.kernel), self.deadline - time.monotonic())

    def others_gone(self) -> bool:
        """Wait for the end of what its cell has started. Whether it came in time."""
        return eventually(lambda: not self.left(), self.deadline - time.monotonic())

    def left(self) -> list[psutil.Process]:
        """What its cell has started, and still lives."""
        return [process for process in self.others if alive(process)]

    def kill(self) -> None:
        """Kill all of it."""
        for process in (self.kernel, *self.others):
            with suppress(psutil.Error):
                process.kill()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class Runner:
    """An API process and a worker, with a database of their own."""

    def __init__(self, submission: Submission, name: str, database: int, lease: float) -> None:
        url = urlsplit(submission.redis_url)._replace(path=f"/{database}").geturl()
        self._submission = submission
        self._probe = Probe(submission, START_PROCESSES, gate(GATE) + EXIT, name=name)
        self._env = {
            "REDIS_URL": url,
            "LEASE_SECONDS": f"{lease:g}",
            "NOTEBOOK_PATH": str(self._probe.path),
        }
        self._runs: list[Run] = []
        [(self.api, _)], [self.worker] = submission.up_each([self._env], [self._env])
        self.data = RunnerData(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_runs()
        self.data.close()

    def begin(self, then: str = "hold") -> Run:
        """Start a run, and wait until its cell has started its processes.

        `then` is what comes after that: "hold", the GIL; or, when the grader lets it go on, "end"
        or "exit", where a cell ends its kernel.
        """
        self.data.forget()
        (self._probe.desk / GATE).unlink(missing_ok=True)
        run_id, mark = self._probe.begin(self.api, then=then)
        tree = self._probe.desk / f"tree-{mark}"
        eventually(lambda: tree.exists() or status(self.api, run_id) not in ACTIVE)
        if not tree.exists():
            answer = self.api.get(f"/status/{run_id}")
            got = "\n".join(filter(None, [str(answer), self.error_in_log()]))
            answer.wrong("RUNNING: a kernel executes the notebook", LAUNCH, got)
        kernel, *others = [psutil.Process(pid) for pid in json.loads(tree.read_text())]
        self._runs.append(Run(run_id, kernel, others))
        return self._runs[-1]

    def error_in_log(self) -> str:
        """The error in the worker's log, as one line."""
        return reason(self.worker.output()[-20_000:])

    def end(self, run: Run) -> Run:
        """Let a run go on that does not hold the GIL, and wait for its end."""
        self._probe.open(GATE)
        eventually(lambda: status(self.api, run.run_id) not in ACTIVE)
        return run.over()

    def start_next(self) -> None:
        """One lease later, start a run, which will be short. Raises Wrong if that is refused."""
        self.data.advance(LEASE)
        self._probe.start(self.api, then="end")
        self._probe.open(GATE)

    def signal_worker(self, number: signal.Signals) -> None:
        """Signal a worker and its pool process. Guard and kernel are in sessions of their own."""
        with suppress(ProcessLookupError):
            os.killpg(self.worker.pid, number)

    def new_worker(self) -> Child:
        """Start one more worker."""
        return self._submission.worker(self._env)

    def kill_runs(self) -> None:
        """Kill what was left of all runs."""
        for run in self._runs:
            run.kill()


class Patient(Runner):
    """Two runs that end, one whose worker is killed, and one that is cancelled."""

    def __init__(self, submission: Submission) -> None:
        super().__init__(submission, "patient", 0, LEASE)
        self._starter = ThreadPoolExecutor(1)

    @functools.cached_property
    def ended(self) -> Run:
        """A run whose notebook has ended."""
        return self.end(self.begin("end"))

    @functools.cached_property
    def exited(self) -> Run:
        """A run in which a cell has ended the kernel."""
        return self.end(self.begin("exit"))

    @functools.cached_property
    def killed(self) -> Run:
        """A run whose worker was killed."""
        run = self.begin()
        self._next_worker = self._starter.submit(self.new_worker)
        self.signal_worker(signal.SIGKILL)
        return run.over()

    @functools.cached_property
    def cancelled(self) -> Run:
        """A run that was cancelled."""
        assert self.killed
        self.worker = self._next_worker.result()
        run = self.begin()
        self.api.post("/cancel").expect(202, f"run {run.run_id} is to end", CANCEL)
        return run.over()


@dataclass(frozen=True)
class Silence:
    """What a worker and its kernel did: first it beat, and then it was stopped."""

    run: Run
    kept: bool  # whether the kernel lived on while its worker beat
    now: str  # the status of the run after that
    survived: bool  # whether the kernel lived when the lease of its silent worker had ended

    @property
    def right(self) -> bool:
        """Whether there is nothing to say against it."""
        return self.kept and not self.survived


def watch(runner: Runner) -> Silence:
    """Let a worker beat for a while, then stop it until its kernel or its lease has ended."""
    run = runner.begin()
    kept = not eventually(lambda: not alive(run.kernel), KEPT)
    now = status(runner.api, run.run_id)
    if not kept or now != "RUNNING":
        return Silence(run, False, now, False)
    runner.signal_worker(signal.SIGSTOP)
    try:
        # First the lease, then the kernel: one that lives after the end of its lease is seen.
        eventually(
            lambda: status(runner.api, run.run_id) not in ACTIVE or not alive(run.kernel), TIMEOUT
        )
        return Silence(run, True, now, alive(run.kernel))
    finally:
        runner.signal_worker(signal.SIGCONT)


def watch_undisturbed(runner: Runner) -> Silence:
    """The same, again where the machine was so busy that processes stood still."""
    for left in reversed(range(TRIES)):
        began = time.monotonic()
        with Stalls() as stalls:
            seen = watch(runner)
        if seen.right or not left or not stalls.since(began):
            break
        runner.kill_runs()
        runner.signal_worker(signal.SIGKILL)
        runner.worker = runner.new_worker()
    return seen


@pytest.fixture(scope="module")
def guarded(submission: Submission) -> Program:
    """A guard alone, which gets no beat. The other tests go on meanwhile."""
    return Program(submission, "guarded")


@pytest.fixture(scope="module")
def silence(submission: Submission, guarded: Program) -> Iterator[Future[Silence]]:
    """What happened to the worker that was stopped. The other tests go on meanwhile."""
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 14 needs a real Redis", INSTALL_REDIS) from None

    def observe() -> Silence:
        with Runner(submission, "silent", 1, SHORT_LEASE) as runner:
            return watch_undisturbed(runner)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(observe)


@pytest.fixture(scope="module")
def patient(submission: Submission, silence: Future[Silence]) -> Iterator[Patient]:
    with Patient(submission) as patient:
        yield patient


def require_gone(runner: Runner, gone: bool, did: str, left: str, where: str) -> None:
    """Raise Wrong unless all has gone that should be, after the next start has got its 202."""
    if not gone:
        runner.start_next()
        expected = "that nothing of the run before lives when the next start gets 202"
        raise Wrong(did, expected, f"202, and beside it {left}", where)


def what_is_left(run: Run) -> str:
    """What a cell has started and still lives, in words."""
    lines = []
    for process in run.left():
        with suppress(psutil.Error):
            lines.append(f"`{' '.join(process.cmdline())}` (pid {process.pid})")
    return f"what a cell of run {run.run_id} has started: {', '.join(lines)}"


@pytest.mark.task("14.1")
def test_a_run_ends_with_its_notebook(patient: Patient) -> None:
    run = patient.ended
    answer = patient.api.get(f"/status/{run.run_id}")
    if answer.field("status", GUARD) != "SUCCEEDED":
        answer.wrong("SUCCEEDED: the worker holds the lifeline until the notebook ends", GUARD)


@pytest.mark.task("14.1")
def test_a_kernel_that_ends_by_itself_ends_its_run(patient: Patient) -> None:
    run = patient.exited
    now = status(patient.api, run.run_id)
    did = f"{EXITED}\n{curl('GET', f'/status/{run.run_id}')}"
    require(now == "FAILED", did, "FAILED: the kernel is gone, and so the guard ends", now, GUARD)


@pytest.mark.task("14.1")
def test_a_kernel_does_not_outlive_its_worker(patient: Patient) -> None:
    run = patient.killed
    gone = run.kernel_gone()
    left = f"the kernel of run {run.run_id} works on (pid {run.kernel.pid})"
    require_gone(patient, gone, KILL, left, GUARD)


@pytest.mark.task("14.1")
def test_a_cancel_ends_a_cell_that_holds_the_gil(patient: Patient) -> None:
    run = patient.cancelled
    gone = run.kernel_gone()
    did = f"{curl('POST', '/cancel')}   (while a cell holds the GIL)"
    expected = "that the kernel is gone a moment later: the worker has closed the lifeline"
    got = f"it still runs, after {GONE_TIMEOUT:g} s (pid {run.kernel.pid})"
    require(gone, did, expected, got, GUARD)
    eventually(lambda: status(patient.api, run.run_id) not in ACTIVE, GONE_TIMEOUT)
    now = status(patient.api, run.run_id)
    did += f"\n{curl('GET', f'/status/{run.run_id}')}"
    require(now == "CANCELLED", did, "CANCELLED", now, GUARD)


@pytest.mark.task("14.2")
def test_what_cells_have_started_does_not_outlive_the_worker(patient: Patient) -> None:
    run = patient.killed
    gone = run.others_gone()
    require_gone(patient, gone, KILL, what_is_left(run), GROUP)


@pytest.mark.task("14.2")
def test_nothing_outlives_a_kernel_that_ends_by_itself(patient: Patient) -> None:
    run = patient.exited
    gone = run.others_gone()
    did = f"{EXITED}\n{curl('POST', '/start')}"
    require_gone(patient, gone, did, what_is_left(run), GROUP)


@pytest.mark.task("14.3")
def test_a_guard_waits_for_the_first_beat(guarded: Program) -> None:
    did = f"python nb_runner/guard.py LIFELINE {BEAT_TIMEOUT:g} sleep 60"
    expected = "a guard that counts from the first beat on: before it, a kernel may take as long "
    expected += "as it needs to start"
    seen = guarded.result(did, expected, GUARD)
    got = f"without a beat, it {seen} its command"
    if seen == "ended":
        got += f" within {SILENCE:g} s"
    require(seen == "waited", did, expected, got, GUARD)


@pytest.mark.task("14.3")
def test_a_kernel_whose_worker_beats_goes_on(silence: Future[Silence]) -> None:
    seen = silence.result()
    did = f"{curl('POST', '/start')}, and a cell that takes {KEPT:g} s and more "
    did += f"(LEASE_SECONDS is {SHORT_LEASE:g})"
    expected = "RUNNING, and a kernel that works on: its worker renews the lease, and beats"
    got = f"the kernel is gone, and the run is {seen.now}"
    require(seen.kept, did, expected, got, BEATS)


@pytest.mark.task("14.3")
def test_the_kernel_of_a_silent_worker_is_dead_when_its_lease_ends(
    silence: Future[Silence],
) -> None:
    seen = silence.result()
    require(seen.kept, STOP, "a kernel that works on until then", "it is gone", BEATS)
    expected = f"that its kernel is dead when the lease ends, {SHORT_LEASE:g} s later"
    got = f"run {seen.run.run_id} is LOST, so the next start gets 202, and its kernel works on"
    require(not seen.survived, STOP, expected, f"{got} (pid {seen.run.kernel.pid})", BEATS)
