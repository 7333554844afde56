"""Exercise 12: a worker that dies, a Redis that does not answer, a worker that wakes up too late.

The grader keeps two runners of the project, on two databases of one Redis:

- `steps`: a lease of an hour, and a gate before each process. Its notebook names a kernel that does
  not exist, so a run fails at once, and all points of a run are tried in a second. Nothing waits
  here: time passes for the data.
- `beats`: a lease of seconds, so that the heart of its worker is seen to beat. Its notebook writes
  a file named after its kernel's process id, and waits until the grader lets it end. What its API
  takes is a lease of an hour, which becomes one of seconds when a worker has begun the run: so it
  does not matter how long a worker takes to come up. While the tests of `steps` go on, Redis gives
  its first worker no answer any more, and then that worker is killed.
"""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
import redis as redis_client

from explorer import Actor, Data, Trace, crash_points, explore, processes, time_passes
from explorer.commands import shape
from explorer.play import Play
from kit.errors import KitError
from kit.grading.api import Answer, Api, curl
from kit.grading.gated.project import CallResult, GatedProject
from kit.grading.gated.rules import calls, require_kept, require_survived, statuses, unanswered
from kit.grading.gated.worker import GatedWorker
from kit.grading.runner.runs import ACTIVE, run_id_of, status
from kit.grading.submission import Submission
from kit.grading.texts import readable
from kit.grading.waiting import POLL_INTERVAL, TIMEOUT, Stalls, eventually
from kit.processes.child import Child
from kit.processes.redis_tiers import INSTALL_REDIS
from kit.verdicts.failure import Wrong, require

LEASE = 3600.0  # seconds; LEASE_SECONDS where time passes for the data only
LATER = LEASE + 60  # seconds after which a lease that is not renewed has ended
SHORT_LEASE = 3.0  # where time passes
KILLED_LEASE = 2.0  # of the worker that is killed: the grader waits for the end of its lease
SILENCE = SHORT_LEASE / 3  # seconds without an answer from Redis that a run survives
KERNEL_TIMEOUT = 60.0  # seconds for a kernel to start
END_TIMEOUT = 20.0  # seconds for a run to end when its last cell has: it takes two
LATE_TIMEOUT = 20.0  # seconds for a kernel to start, where nothing depends on it
GONE_TIMEOUT = 8.0  # seconds for a kernel to be gone, or a run to be CANCELLED: it takes one
NOTICED = 0.1  # seconds by which a renewal prolongs a lease at least
TRIES = 3
NO_KERNEL = "there-is-none"
MESSAGE = b'"content-encoding"'  # a part of every Celery message

START = "nb_runner/main.py: start()"
TAKE = "nb_runner/lease.py: take()"
LOST = "nb_runner/lease.py: take() and nb_runner/runs.py: get()"
SAYS_LOST = "nb_runner/runs.py: get()"
HEARTBEAT = "nb_runner/lease.py: Heartbeat._beat() and renew()"
RELEASE = "nb_runner/lease.py: release() and renew()"
CLAIM = "nb_runner/tasks.py: run_notebook()"
CANCELS = "nb_runner/main.py: cancel()"
CANCEL = "nb_runner/lease.py: Heartbeat._beat() and nb_runner/tasks.py: run_notebook()"

LONG_RUN = f"{curl('POST', '/start')}, and a notebook that takes longer than its lease "
LONG_RUN += f"({SHORT_LEASE:g} s here)"
AT_WORK = "RUNNING, for as long as the notebook runs: the worker lives, and says so"
PAUSED = f"./workshop break pause\n{curl('POST', '/start')}\nand the paused worker wakes up"

BEGINS = """
import os, pathlib, time
here = pathlib.Path({here!r})
(here / f"{{os.getpid()}}.ran").touch()
"""
WAITS = (
    BEGINS
    + """
end = time.monotonic() + 200
while not (here / f"{{os.getpid()}}.go").exists() and time.monotonic() < end:
    time.sleep(0.02)
"""
)


def write_notebook(path: Path, source: str, kernel: str = "python3") -> None:
    """A notebook with one cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip())])
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    nbformat.write(notebook, path)


class Kernels:
    """The kernels that execute the notebook which waits."""

    def __init__(self, marks: Path) -> None:
        marks.mkdir()
        self.marks = marks
        self.source = WAITS.format(here=str(marks))
        self.ends_at_once = BEGINS.format(here=str(marks))
        self._known: set[int] = set()

    def any(self) -> bool:
        """Whether one has begun to execute the notebook since the last call of `new`."""
        return bool(self._begun() - self._known)

    def new(self) -> set[int]:
        """Those that have begun to execute the notebook since the last call."""
        new = self._begun() - self._known
        self._known |= new
        return new

    def _begun(self) -> set[int]:
        return {int(mark.stem) for mark in self.marks.glob("*.ran")}

    def let_end(self, kernel: int) -> None:
        """The notebook in this kernel is to end."""
        (self.marks / f"{kernel}.go").touch()


def seconds_left(data: Data) -> dict[str, float]:
    """Of each key that ends by itself, when it will."""
    redis = data.redis
    left = {key.decode(): redis.pttl(key) / 1000 for key in redis.scan_iter()}
    return {key: seconds for key, seconds in left.items() if seconds > 0}


def in_background(function: Callable[[], None]) -> "Future[None]":
    """Call it in a thread that holds up nothing: neither a test that fails, nor the end."""
    done: Future[None] = Future()

    def call() -> None:
        try:
            function()
            done.set_result(None)
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return done


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def paused(child: Child) -> Iterator[None]:
    """A worker stands still meanwhile, with its kernel."""
    processes.pause(child.pid)
    try:
        yield
    finally:
        processes.wake(child.pid)


class Steps:
    """Two API processes and a worker, each with a gate, and a lease of an hour."""

    def __init__(self, submission: Submission) -> None:
        self.notebook = submission.state / "steps.ipynb"
        self.kernels = Kernels(submission.state / "marks-of-steps")
        write_notebook(self.notebook, "", kernel=NO_KERNEL)
        env = {"LEASE_SECONDS": f"{LEASE:g}", "NOTEBOOK_PATH": str(self.notebook)}
        self.gated = GatedProject(submission, apis=2, gated_workers=1, env=env)
        self.worker: GatedWorker = self.gated.workers[0]
        self.api, self.other = (each.api for each in self.gated.apis)
        self.starts = [each.actor("POST", "/start") for each in self.gated.apis]
        self.cancel = self.gated.apis[1].actor("POST", "/cancel")
        self.data = self.gated.data
        self.actor = self.worker.actor()
        self.late: Future[None] | None = None  # what goes on while a test looks at the other runner
        self._started = ""

    def close(self) -> None:
        self.gated.close()

    def begin(self) -> None:
        """Start a run with a kernel, whose notebook ends at once. The next test uses it."""
        self.worker.reset()
        write_notebook(self.notebook, self.kernels.ends_at_once)
        answer = self.api.post("/start").expect(202, "no run is active", START)
        self._started = run_id_of(answer)

    def end(self) -> tuple[str, str]:
        """Wait for the end of the run that was started last. Returns its id and its status."""
        for _ in range(TRIES):
            if not self._started:
                self.begin()
            run_id, self._started = self._started, ""
            if (ended := self._end_of(run_id)) != "FAILED":
                break  # else its kernel may have found a port taken
        write_notebook(self.notebook, "", kernel=NO_KERNEL)
        return run_id, ended

    def _end_of(self, run_id: str) -> str:
        def over() -> bool:
            return status(self.api, run_id) not in ACTIVE

        eventually(lambda: self.kernels.any() or over(), KERNEL_TIMEOUT)
        self.kernels.new()
        eventually(over, END_TIMEOUT)
        return status(self.api, run_id)

    @contextmanager
    def waiting_notebook(self) -> Iterator[None]:
        """Runs have a kernel meanwhile, and a notebook that waits."""
        self.worker.reset()
        write_notebook(self.notebook, self.kernels.source)
        try:
            yield
        finally:
            write_notebook(self.notebook, "", kernel=NO_KERNEL)
            if self.kernels.new():
                self.worker.kill()

    def cancel_after(self, commands: int) -> tuple[Play, str]:
        """Start a run, and cancel it when the worker has sent so many commands for it."""
        game = self._begin()
        game.go(commands)
        run_id = self.worker.run_id
        self.api.post("/cancel").expect(202, f"run {run_id} is queued", CANCELS)
        return game, run_id

    def cancel_late(self, queued: int, all_but_last: int) -> str:
        """Start a run, and cancel it at the last moment at which it is QUEUED. Returns its id.

        The worker goes on until it has a kernel: nbclient needs five seconds to notice the end of
        one that is just being started. A run that fails is tried once more: its kernel may have
        found a port taken.
        """
        for _ in range(TRIES):
            self.worker.reset()
            game, run_id = self.cancel_after(queued)
            game.go(all_but_last - queued)
            eventually(lambda: self.kernels.any() or self.actor.ended, LATE_TIMEOUT)
            self.actor.release()
            if self.kernels.any() or status(self.api, run_id) != "FAILED":
                break
        return run_id

    def lose_messages(self) -> None:
        """Delete all messages to workers."""
        for key in self.data.redis.scan_iter(_type="list"):
            if any(MESSAGE in each for each in self.data.redis.lrange(key, 0, -1)):
                self.data.redis.delete(key)

    def commands(self) -> tuple[int, int]:
        """How many commands a worker sends for a run: while it is QUEUED, and before its end."""
        self.worker.reset()
        game = self._begin()
        queued = 0
        while self.actor.settle(TIMEOUT) and not self.actor.ended:
            if status(self.api, self.worker.run_id) == "QUEUED":
                queued = len(game.steps)
            game.go(1)
        return queued, len(game.steps) - 1

    def _begin(self) -> Play:
        """Start a run. It is held before the worker's first command."""
        game = Play([self.actor], self.data, ())
        game.start()
        self.actor.settle(TIMEOUT)
        return game


class Beats:
    """An API process and workers with a lease of seconds. The first worker has a gate."""

    def __init__(self, submission: Submission, redis_url: str) -> None:
        notebook = submission.state / "beats.ipynb"
        self.kernels = Kernels(submission.state / "marks-of-beats")
        write_notebook(notebook, self.kernels.source)
        self._submission = submission
        env = {"LEASE_SECONDS": f"{LEASE:g}", "NOTEBOOK_PATH": str(notebook)}
        self._env = {**env, "LEASE_SECONDS": f"{SHORT_LEASE:g}", "REDIS_URL": redis_url}
        self.gated = GatedProject(
            submission,
            apis=1,
            gated_workers=1,
            env=env,
            worker_env={"LEASE_SECONDS": f"{KILLED_LEASE:g}"},
            redis_url=redis_url,
        )
        self.worker: GatedWorker = self.gated.workers[0]
        self.api: Api = self.gated.apis[0].api
        self.data: Data = self.gated.data
        self.gated.reset()
        self._starter = ThreadPoolExecutor()
        self._second: Future[Child] | None = None
        self._started = ""  # a run that the next test uses
        self.running: tuple[str, int] | None = None  # the same, when it has a kernel
        self.stalls = Stalls()
        self.began = time.monotonic()  # when the run began whose worker is killed
        self._dead = ""
        self._leases: set[str] = set()
        self._gave_up: bool | None = None  # None: not known
        try:
            self._leases = self._taken()
            self._dead = self._run_and_kill()
        except Wrong:  # the test that needs it tries again, and will say so
            self.reset()

    def close(self) -> None:
        self._starter.shutdown()
        self.stalls.close()
        self.gated.close()

    def _taken(self) -> set[str]:
        """The names of the keys that a start writes and that end by themselves.

        The worker is held, so none of them is the worker's: Celery's results end by themselves,
        too. The next test uses the run.
        """
        self.worker.gate.hold()
        try:
            self.begin()
            return {shape(key) for key in self._ends()}
        finally:
            self.worker.gate.open()

    def _run_and_kill(self) -> str:
        """Kill the worker in the middle of a run, and start another. Returns the run's id.

        Before that, Redis gives it no answer any more, unless that has been tried.
        """
        self.began = time.monotonic()
        kernel: int | None = None
        for _ in range(TRIES):
            run_id = self.start()
            if self._gave_up is None:
                kernel = self._kernel_of(run_id)
            if status(self.api, run_id) != "FAILED":
                break  # else its kernel may have found a port taken
        self.worker.env = {**self.worker.env, "LEASE_SECONDS": f"{SHORT_LEASE:g}"}
        if kernel is not None:
            self._gave_up = self._fall_silent(kernel)
        self.worker.kill()  # with what it has sent and Redis has not got
        self.worker.gate.open()
        self.worker.revive()
        return run_id

    def _fall_silent(self, kernel: int) -> bool | None:
        """Let Redis give the worker no answer any more, and return whether that kernel ends.

        None: it did not, and this machine was too busy.
        """
        gate = self.worker.gate
        gate.hold()
        asked = gate.wait(lambda: bool(gate.held), KILLED_LEASE)  # else there is no heartbeat
        gone = eventually(lambda: not alive(kernel), GONE_TIMEOUT if asked else 0)
        return gone or (None if self.stalls.since(self.began) else False)

    def reset(self) -> None:
        """Make all as at first, whatever a test has left."""
        self.worker.kill()
        for child in self.workers():
            child.kill()
        self.worker.gate.open()
        self.worker.revive()
        self.gated.reset()
        self.kernels.new()
        self._second, self._started, self._dead, self.running = None, "", "", None
        self._gave_up = None

    def take_dead(self) -> str:
        """A run whose worker was killed."""
        if not self._dead:
            self._leases = self._leases or self._taken()
            self._dead = self._run_and_kill()
        run_id, self._dead = self._dead, ""
        return run_id

    def gives_up(self) -> bool:
        """Whether a worker that gets no answer from Redis any more ends its kernel."""
        if self._gave_up is None:
            self.reset()
            self._run_and_kill()
            self.gated.reset()  # the lease of that run has not ended, and blocks the next run
        return bool(self._gave_up)

    def start_second_worker(self) -> None:
        """It is ready in a second. Nothing waits for it."""
        if self._second is None:
            self._second = self._starter.submit(self._submission.worker, self._env)

    def leave_to_second_worker(self) -> None:
        """Kill the first worker, so that its last run cannot touch the next one."""
        self.start_second_worker()
        self.worker.kill()

    def workers(self) -> list[Child]:
        """All of them."""
        return [self.worker.child, *([self._second.result()] if self._second else [])]

    def worker_of(self, kernel: int) -> Child:
        """The worker that started this kernel."""
        with suppress(psutil.Error):
            ancestors = {process.pid for process in psutil.Process(kernel).parents()}
            for child in self.workers():
                if child.pid in ancestors:
                    return child
        return self.worker.child

    def begin(self) -> None:
        """Start the run that the next test uses."""
        answer = self.api.post("/start").expect(202, "no run is active", START)
        self._started = run_id_of(answer)

    def start(self) -> str:
        """Wait until a worker has begun the run that was started last, or a new one."""
        if not self._started:
            self.begin()
        run_id, self._started = self._started, ""
        now = self.begun(run_id)
        require(now == "RUNNING", curl("GET", f"/status/{run_id}"), "RUNNING", now, CLAIM)
        self.data.shorten(SHORT_LEASE)
        return run_id

    def begun(self, run_id: str) -> str:
        """Wait until a worker has begun that run. Returns its status."""
        self.workers()  # on a busy machine, the second one may take long to come up
        eventually(lambda: status(self.api, run_id) != "QUEUED")
        return status(self.api, run_id)

    def take_started(self) -> str:
        """The run that was started last."""
        if not self._started:
            self.begin()
        return self._started

    def take_running(self) -> tuple[str, int]:
        """A run with a kernel at work, and the kernel: of the test before, else a new one.

        A run that fails before its first cell is tried once more: a kernel chooses free ports and
        opens them a moment later, and another process may have been quicker.
        """
        running, self.running = self.running, None
        if running is not None:
            return running
        for _ in range(TRIES):
            run_id = self.start()
            if (kernel := self._kernel_of(run_id)) is not None:
                return run_id, kernel
            if (now := status(self.api, run_id)) != "FAILED":
                break
        where = HEARTBEAT if now == "LOST" else CLAIM
        raise Wrong(LONG_RUN, AT_WORK, f"{now}, before its first cell", where)

    def _kernel_of(self, run_id: str) -> int | None:
        """The kernel that executes that run. None: the run has ended before its first cell."""

        def decided() -> bool:
            return self.kernels.any() or status(self.api, run_id) not in ACTIVE

        eventually(decided, KERNEL_TIMEOUT)
        return min(self.kernels.new(), default=None)

    def be_silent(self) -> None:
        """Let Redis give the worker no answer for a moment.

        It lasts until the worker asks once more, and not longer than SILENCE.
        """
        gate = self.worker.gate
        gate.hold()
        if gate.wait(lambda: bool(gate.held), SHORT_LEASE):
            gate.wait(lambda: len(gate.held) > 1, SILENCE)
        gate.open()

    def require_renewal(self, run_id: str, did: str) -> None:
        """Wait until the lease is renewed. Raises Wrong when it ends before."""
        before, deadline = self._lease_ends(), time.monotonic() + TIMEOUT
        self._require_at_work(run_id, did)
        got = "nothing in Redis ends by itself: the lease has no end"
        require(bool(before), did, "a lease that is renewed", got, TAKE)
        while not any(
            end > before.get(key, 0) + NOTICED for key, end in self._lease_ends().items()
        ):
            got = "the lease has no end, or nothing renews it"
            require(time.monotonic() < deadline, did, "a lease that is renewed", got, HEARTBEAT)
            time.sleep(POLL_INTERVAL)
            self._require_at_work(run_id, did)

    def _require_at_work(self, run_id: str, did: str) -> None:
        now = status(self.api, run_id)
        require(now == "RUNNING", did, AT_WORK, now, HEARTBEAT)

    def _lease_ends(self) -> dict[str, float]:
        """When the lease will end. Other keys may end by themselves, too."""
        return {key: end for key, end in self._ends().items() if shape(key) in self._leases}

    def _ends(self) -> dict[str, float]:
        """When each key will end that ends by itself."""
        return {key: time.monotonic() + left for key, left in seconds_left(self.data).items()}


def undisturbed(test: Callable[..., None]) -> Callable[..., None]:
    """Repeat a test that has failed while the machine was so busy that processes stood still.

    Where a lease of seconds passes, a worker that stands still has lost it.
    """

    @functools.wraps(test)
    def repeated(beats: Beats, **others: Any) -> None:
        for left in reversed(range(TRIES)):
            began = time.monotonic()
            try:
                return test(beats=beats, **others)
            except Wrong:
                beats.reset()
                if not left or not beats.stalls.since(began):
                    raise

    return repeated


@pytest.fixture(scope="module")
def both(submission: Submission) -> Iterator[tuple[Future[Steps], Future[Beats]]]:
    """The two runners. They start at the same time."""
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 12 needs a real Redis", INSTALL_REDIS) from None
    beside = urlsplit(submission.redis_url)._replace(path="/1").geturl()
    with ThreadPoolExecutor() as pool:
        runners = pool.submit(Steps, submission), pool.submit(Beats, submission, beside)
        yield runners
    for runner in runners:
        if runner.exception() is None:
            runner.result().close()


@pytest.fixture(scope="module")
def steps(both: tuple[Future[Steps], Future[Beats]]) -> Steps:
    return both[0].result()


@pytest.fixture(scope="module")
def beats(both: tuple[Future[Steps], Future[Beats]]) -> Beats:
    return both[1].result()


def one_is_accepted(trace: Trace) -> str | None:
    """The rule of two starts."""
    if (wrong := unanswered(trace)) is not None:
        return wrong.got
    if trace.stuck:
        return f"{' and '.join(trace.stuck)} waited for ever"
    answers = [one.result.answer for one in trace.outcomes if isinstance(one.result, CallResult)]
    odd = [str(answer) for answer in answers if answer.status not in (202, 409)]
    codes = statuses(trace)
    return None if codes == [202, 409] else "\n".join(odd) or calls(codes)


@pytest.fixture
def starts(steps: Steps) -> Iterator[list[Actor]]:
    """A start for each of two API processes, while no worker takes a message."""
    with steps.worker.paused():
        yield steps.starts
    steps.worker.reset()


@pytest.mark.task("12.1")
def test_of_two_starts_at_once_one_takes_the_lease(steps: Steps, starts: list[Actor]) -> None:
    steps.gated.warm_up("/start")
    report = explore(
        starts, steps.data, reset=steps.gated.reset, rule=one_is_accepted, alike=starts
    )
    did = f"both at once, to two API processes:\n{curl('POST', '/start')}\n{curl('POST', '/start')}"
    expected = "once 202 Accepted, once 409 Conflict, in whatever order they reach Redis"
    require_kept(report, did, expected, TAKE)


@pytest.mark.task("12.1")
def test_a_lease_lasts_for_lease_seconds(steps: Steps, starts: list[Actor]) -> None:
    report = explore(
        [*starts, time_passes(steps.data, LEASE / 2)],
        steps.data,
        reset=steps.gated.reset,
        rule=one_is_accepted,
        preemptions=0,
        alike=starts,
    )
    did = f"LEASE_SECONDS is {LEASE:g}:\n{curl('POST', '/start')}\n… {LEASE / 2:g} s later …\n"
    did += curl("POST", "/start")
    expected = "409 Conflict: the first has its lease for LEASE_SECONDS. PX counts in "
    expected += "milliseconds (LEASE_MS), EX in seconds"
    require_kept(report, did, expected, TAKE)


def later(what: str) -> str:
    """What the grader did: it stopped this, and then let a lease's time pass."""
    return f"kill -STOP {what}, and {LATER:g} s later (LEASE_SECONDS is {LEASE:g}):\n" + curl(
        "POST", "/start"
    )


@pytest.mark.task("12.1")
def test_a_start_that_stops_at_any_point_makes_way(steps: Steps, starts: list[Actor]) -> None:
    points = crash_points(
        starts[0],
        steps.data,
        reset=steps.gated.reset,
        rule=next_is_accepted,
        ways=["pause"],
        meanwhile=[time_passes(steps.data, LATER), starts[1]],
    )
    expected = "202 Accepted, from another API process: a lease ends by itself, LEASE_SECONDS "
    expected += "after it was taken. So it is taken and given its end in one command: SET with NX "
    expected += "and PX"
    require_survived(points, later("an API process in the middle of a start"), expected, TAKE)


def next_is_accepted(trace: Trace) -> str | None:
    """The rule after a crash: the start that comes one lease later is accepted."""
    if (wrong := unanswered(trace)) is not None:
        return wrong.got
    answers = [one.result.answer for one in trace.outcomes if isinstance(one.result, CallResult)]
    if not answers:
        return "no answer: it waited for ever"
    return None if answers[0].status == 202 else str(answers[0])


@pytest.mark.task("12.1")
def test_a_run_whose_worker_stops_at_any_point_makes_way(steps: Steps) -> None:
    def makes_way(trace: Trace) -> str | None:
        if (fault := next_is_accepted(trace)) is not None:
            return fault
        run_id = steps.worker.run_id
        now = status(steps.api, run_id)
        return f"202, and run {run_id} still is {now}" if now in ACTIVE else None

    points = crash_points(
        steps.actor,
        steps.data,
        reset=steps.worker.reset,
        rule=makes_way,
        ways=["pause"],
        meanwhile=[time_passes(steps.data, LATER), steps.starts[1]],
    )
    did = later("a worker in the middle of a run")
    did += f"\n{curl('GET', '/status/RUN_ID')}   (of that run)"
    expected = "202 Accepted, and the status LOST: the run has no worker any more"
    require_survived(points, did, expected, LOST)
    steps.begin()


def require_lost(api: Api, run_id: str) -> None:
    """Raise Wrong unless this run, whose worker was killed, is LOST within one lease."""
    eventually(lambda: status(api, run_id) not in ACTIVE, SHORT_LEASE + 1)
    did = f"./workshop break worker\n{curl('GET', f'/status/{run_id}')}"
    expected = f"LOST, within one lease ({SHORT_LEASE:g} s here)"
    answer = api.get(f"/status/{run_id}")
    now = answer.field("status", LOST)
    require(now == "LOST", did, expected, f"{now}, for longer than that", LOST)
    if not readable(error := answer.object(SAYS_LOST).get("error")):
        expected = "an `error` that says why the run is LOST, in a sentence"
        raise Wrong(did, expected, f"LOST, and `error` is {json.dumps(error)}", SAYS_LOST)


@pytest.mark.task("12.1")
@undisturbed
def test_a_run_whose_worker_died_is_lost(beats: Beats) -> None:
    for _ in range(TRIES):
        require_lost(beats.api, beats.take_dead())
        if not beats.stalls.since(beats.began):
            break  # else whoever would have kept the lease may have stood still, too
    beats.begin()


@pytest.mark.task("12.2")
@undisturbed
def test_a_run_keeps_its_lease_for_as_long_as_it_takes(beats: Beats) -> None:
    run_id, kernel = beats.take_running()
    beats.start_second_worker()
    beats.require_renewal(run_id, LONG_RUN)
    did = f"{LONG_RUN}, and a Redis that is silent for a moment"
    beats.be_silent()
    beats.require_renewal(run_id, did)
    require(alive(kernel), did, "the kernel works on", "it is gone", HEARTBEAT)
    beats.api.post("/start").expect(409, f"run {run_id} blocks it", HEARTBEAT)
    beats.running = run_id, kernel


@pytest.mark.task("12.2")
@undisturbed
def test_a_run_that_has_lost_its_lease_gives_up_at_once(beats: Beats) -> None:
    run_id, kernel = beats.take_running()
    beats.data.advance(SHORT_LEASE + 1)
    did = f"{curl('POST', '/start')}, and in the middle of its notebook the lease ends"
    decided = eventually(
        lambda: not alive(kernel) or status(beats.api, run_id) in ACTIVE, GONE_TIMEOUT
    )
    require(
        not alive(kernel) and decided,
        did,
        f"that the worker ends its kernel: run {run_id} is LOST, and another may begin",
        f"run {run_id} is {status(beats.api, run_id)}, and its kernel works on",
        HEARTBEAT,
    )
    now = status(beats.api, run_id)
    require(now == "LOST", f"{did}\n{curl('GET', f'/status/{run_id}')}", "LOST", now, HEARTBEAT)
    beats.leave_to_second_worker()
    beats.begin()


@pytest.mark.task("12.2")
@undisturbed
def test_a_worker_that_gets_no_answer_any_more_gives_up(beats: Beats) -> None:
    did = f"{curl('POST', '/start')}, and in the middle of its notebook Redis falls silent for good"
    expected = "that the worker ends its kernel after ANSWER_TIMEOUT, two thirds of the lease: "
    expected += "another run may have the lease by now"
    require(beats.gives_up(), did, expected, "the kernel works on", HEARTBEAT)


@pytest.mark.task("12.2")
@undisturbed
def test_a_run_whose_lease_is_anothers_gives_up_at_once(beats: Beats) -> None:
    run_id, kernel = beats.take_running()
    with paused(beats.worker_of(kernel)):
        beats.data.advance(SHORT_LEASE + 1)
        beats.begin()
    require(
        eventually(lambda: not alive(kernel), GONE_TIMEOUT),
        PAUSED,
        f"that it ends its kernel: run {run_id} has lost its lease to another run",
        f"the kernel of run {run_id} works on, so there are two",
        HEARTBEAT,
    )


@pytest.mark.task("12.2")
def test_a_run_ends_with_its_notebook(steps: Steps) -> None:
    run_id, ended = steps.end()
    did = f"{curl('GET', f'/status/{run_id}')}   (when its notebook has ended)"
    expected = "SUCCEEDED: the heartbeat stops with the notebook, and then the lease is released"
    require(ended == "SUCCEEDED", did, expected, ended, HEARTBEAT)
    steps.api.post("/start").expect(202, f"run {run_id} has ended", RELEASE)


@pytest.mark.task("12.3")
def test_a_worker_that_was_paused_takes_nothing_away(steps: Steps) -> None:
    before: list[str] = []
    ends: dict[str, float] = {}  # of what the new run holds: seconds until it ends by itself

    def was(_: Trace) -> None:
        before.append(status(steps.api, steps.worker.run_id))
        steps.lose_messages()  # the worker would begin the new run, and renew its lease
        steps.data.advance(LEASE / 2)  # else a renewal would change nothing
        ends.clear()
        ends.update(each for each in seconds_left(steps.data).items() if not_of_old_run(each[0]))

    def not_of_old_run(key: str) -> bool:
        return steps.worker.run_id not in key

    def nothing_changed(trace: Trace) -> str | None:
        if (fault := next_is_accepted(trace)) is not None:
            return fault
        new = next(one.result for one in trace.outcomes if isinstance(one.result, CallResult))
        run_id = run_id_of(new.answer)
        if status(steps.api, run_id) == "LOST":
            return f"run {run_id} was accepted, and is LOST: its lease was taken away from it"
        old = status(steps.api, steps.worker.run_id)
        if old != before[-1]:
            return f"run {steps.worker.run_id} was {before[-1]}, and now it is {old}"
        for key, left in seconds_left(steps.data).items():
            if key in ends and left > ends[key] + 1:
                renewed = f"{key} was to end in {ends[key]:.0f} s, and now it ends in {left:.0f} s"
                return f"run {run_id} was accepted, and another run renewed its lease: {renewed}"
        return None

    points = crash_points(
        steps.actor,
        steps.data,
        reset=steps.worker.reset,
        rule=was,
        ways=["pause"],
        meanwhile=[time_passes(steps.data, LATER), steps.starts[1]],
        woken=nothing_changed,
    )
    expected = "that it changes nothing any more: the lease is the other run's, and its own run is "
    expected += "LOST. To compare and to delete is one step, and so is to compare and to renew"
    require_survived(points, PAUSED, expected, RELEASE)


@pytest.mark.task("12.3")
@undisturbed
def test_the_next_run_goes_on(beats: Beats) -> None:
    run_id = beats.take_started()
    now = beats.begun(run_id)
    did = f"{PAUSED}\n{curl('GET', f'/status/{run_id}')}"
    expected = f"RUNNING: the lease is run {run_id}'s, and the other run must not touch it"
    require(now == "RUNNING", did, expected, now, RELEASE)


@pytest.mark.task("12.4")
def test_a_run_that_was_cancelled_before_it_began_never_runs(steps: Steps) -> None:
    with steps.waiting_notebook():
        run_id = steps.cancel_after(0)[1]
        steps.actor.release()
        did = f"{curl('POST', '/start')}\n{curl('POST', '/cancel')}\nand then a worker comes"
        worker = steps.worker
        eventually(lambda: worker.has_done_with(run_id) or steps.kernels.any())
        require(
            not steps.kernels.any(),
            did,
            "that the cancelled run is never executed",
            f"the notebook was executed; run {run_id} is {status(steps.api, run_id)}",
            CANCEL,
        )
        now = status(steps.api, run_id)
        require(now == "CANCELLED", did, f"CANCELLED for run {run_id}", now, CANCEL)
        steps.api.post("/start").expect(202, "a cancelled run blocks no start", CLAIM)


@pytest.mark.task("12.4")
@undisturbed
def test_a_running_notebook_is_cancelled_with_its_kernel(steps: Steps, beats: Beats) -> None:
    steps.late = steps.late or in_background(partial(require_cancelled_late, steps))
    run_id, kernel = beats.take_running()
    beats.api.post("/cancel").expect(202, f"run {run_id} is to end", CANCELS)
    did = f"{curl('POST', '/cancel')}\n{curl('GET', f'/status/{run_id}')}"
    require_cancelled(beats.api, run_id, did)
    gone = eventually(lambda: not alive(kernel), GONE_TIMEOUT)
    require(gone, did, "that the run's kernel is gone", "it still runs", CANCEL)
    answers: list[Answer] = []

    def started() -> bool:
        answers.append(beats.api.post("/start"))
        return answers[-1].status == 202

    eventually(started, GONE_TIMEOUT)
    answers[-1].expect(202, f"run {run_id} has ended, and blocks no start", CANCEL)
    late, steps.late = steps.late, None
    late.result()


def require_cancelled_late(steps: Steps) -> None:
    """Raise Wrong unless a cancel is obeyed that comes just before the notebook begins."""
    queued, all_but_last = steps.commands()
    with steps.waiting_notebook():
        run_id = steps.cancel_late(queued, all_but_last)
        did = f"{curl('POST', '/start')}\nand, when the worker is about to begin the run,\n"
        did += f"{curl('POST', '/cancel')}\n{curl('GET', f'/status/{run_id}')}"
        require_cancelled(steps.api, run_id, did, TIMEOUT)


def require_cancelled(api: Api, run_id: str, did: str, seconds: float = GONE_TIMEOUT) -> None:
    """Raise Wrong unless the run is CANCELLED in a moment."""
    eventually(lambda: status(api, run_id) not in ACTIVE, seconds)
    got = f"{(now := status(api, run_id))}, after {seconds:g} s at most"
    require(now == "CANCELLED", did, "CANCELLED a moment later", got, CANCEL)
