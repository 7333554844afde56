"""Exercise 12: a worker that dies, a Redis that falls silent, a worker that wakes up too late.

The notebook of these runs marks that it was executed, with its kernel's process id, and then waits
until we let it go on: so nothing here depends on how fast the machine is.
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
LATE = 8.0  # seconds more than it should take, before we say that it does not happen
PATIENCE = 30.0  # seconds for what only a busy machine delays

START = "nb_runner/main.py: start()"
TAKE = "nb_runner/lease.py: take()"
LOST = "nb_runner/lease.py: take() and nb_runner/runs.py: get()"
BEAT = "nb_runner/lease.py: Heartbeat._beat() and renew()"
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
    """Whether `check` came true in that time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Scene:
    """The runner on its stage: an API, workers, and a notebook that waits for its cue."""

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
        self.known: set[int] = set()
        self.going: tuple[str, int] | None = None  # a run that the next test goes on with
        self.spoilt = False  # the last test failed: who knows what it left
        self.api = submission.up(api=1, workers=3, env=self.env)
        # Whoever waits for Redis gives up after a part of the lease.
        self.patient_api = submission.up(api=1, env=self.env | {"LEASE_SECONDS": "60"})

    def workers(self) -> list[Child]:
        return [child for child in self.submission.workers if child.running]

    def clear(self) -> None:
        """No worker, no run, no message: as before the first call."""
        for child in self.workers():
            child.kill()
        self.redis.flushdb()
        self.going = None

    @contextmanager
    def act(self, workers: int) -> Iterator[None]:
        """One test, with at least so many workers, whatever the test before has left behind."""
        if self.spoilt:
            self.clear()
        while len(self.workers()) < workers:
            self.submission.worker(self.env)
        self.spoilt = True
        yield
        self.spoilt = False

    def status(self, run_id: str, api: Api | None = None) -> str:
        answer = (api or self.api).get(f"/status/{run_id}")
        where = "nb_runner/runs.py: get()"
        return str(answer.expect(200, "that run was started", where).field("status", where))

    def ran(self) -> set[int]:
        """The kernels that have begun to execute the notebook since we last looked."""
        marks = {int(mark.stem) for mark in self.marks.glob("*.ran")}
        return marks - self.known

    def begun(self, started: Answer) -> tuple[str, int]:
        """The run that was started, and its kernel, once that is at work."""
        run_id = str(started.field("run_id", START))
        if not eventually(self.ran, PATIENCE):
            got = f"{self.status(run_id)}, and no cell has run within {PATIENCE:g} s"
            raise Wrong(curl("GET", f"/status/{run_id}"), "RUNNING", got, CLAIM)
        kernel = min(self.ran())
        self.known.add(kernel)
        return run_id, kernel

    def begin(self) -> tuple[str, int]:
        """Start a run and wait until its kernel is at work."""
        return self.begun(self.api.post("/start").expect(202, "nothing else is running", START))

    def start_sooner_or_later(self, api: Api) -> Answer:
        """The first start that goes through, or the last one that did not."""
        answers: list[Answer] = []

        def started() -> bool:
            answers.append(api.post("/start"))
            return answers[-1].status == 202

        eventually(started, LEASE + LATE)
        return answers[-1]

    def worker_of(self, kernel: int) -> Child:
        """The worker that has this kernel."""
        with suppress(psutil.Error):
            family = {process.pid for process in psutil.Process(kernel).parents()}
            for child in self.workers():
                if child.pid in family:
                    return child
        return self.workers()[0]

    def let_go_on(self, kernel: int) -> None:
        (self.marks / f"{kernel}.go").touch()

    def require_success(self, run_id: str, kernel: int, where: str) -> None:
        """Let the notebook end; the run has to succeed."""
        self.let_go_on(kernel)
        eventually(lambda: self.status(run_id) not in ("QUEUED", "RUNNING"), PATIENCE)
        did, status = curl("GET", f"/status/{run_id}"), self.status(run_id)
        require(status == "SUCCEEDED", did, "SUCCEEDED, for its notebook ended", status, where)

    def require_lost(self, run_id: str, did: str, since: str) -> None:
        """Within one lease, the run has to read LOST."""
        eventually(lambda: self.status(run_id) == "LOST", LEASE + LATE)
        require(
            (status := self.status(run_id)) == "LOST",
            f"{did}\n{curl('GET', f'/status/{run_id}')}",
            f"LOST, within one lease ({LEASE:g} s here)",
            f"{status}, {LEASE + LATE:g} s after {since}",
            LOST,
        )

    def require_an_end(self) -> None:
        """Something in Redis has to end by itself while a run is going."""
        ends = [key for key in self.redis.scan_iter() if self.redis.pttl(key) > 0]
        require(
            ends,
            "curl -i -X POST http://127.0.0.1:8000/start, and asked Redis for the PTTL of each key",
            "a lease that ends by itself unless it is renewed",
            "none of the keys has an end: who holds the lease and dies holds it for ever",
            TAKE,
        )


@pytest.fixture(scope="module")
def scene(submission: Submission) -> Scene:
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 12 needs a real Redis: it kills one", INSTALL_REDIS) from None
    return Scene(submission)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def tell(child: Child, number: int) -> None:
    """Send a signal to a process and to all below it."""
    with suppress(psutil.Error):
        process = psutil.Process(child.pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                each.send_signal(number)


def hold_breath(redis: "redis_client.Redis", seconds: float, which: str = "ALL") -> None:
    """Have Redis listen, and answer nobody (or no `WRITE`), for a while."""
    command = ("CLIENT", "PAUSE", str(int(seconds * 1000)), which)
    redis.execute_command(*command)  # type: ignore[no-untyped-call]


def commands(monitor: "redis_client.client.Monitor", until: str) -> Iterator[list[str]]:
    """What clients (not scripts) sent to Redis, up to a last word of ours."""
    for heard in monitor.listen():  # type: ignore[no-untyped-call]
        words = str(heard["command"]).split(" ")
        if until in words:
            return
        if heard["client_type"] != "lua":
            yield words


def takes_without_end(words: list[str]) -> bool:
    """Whether the command takes a key that stays when its holder dies."""
    verb, *options = [word.upper() for word in words]
    if verb == "SETNX":
        return True
    ends = {"PX", "EX", "PXAT", "EXAT"}
    return verb == "SET" and "NX" in options and not ends & set(options)


@pytest.mark.task("12.1")
def test_the_lease_is_taken_in_one_step(scene: Scene) -> None:
    with scene.act(workers=2), scene.redis.monitor() as monitor:  # type: ignore[no-untyped-call]
        # Who looks is answered, who writes has to wait: all of them look before any of them takes.
        hold_breath(scene.redis, 1, "WRITE")
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: scene.patient_api.post("/start"), range(6)))
        scene.redis.echo("workshop-heard-enough")
        heard = list(commands(monitor, "workshop-heard-enough"))
        admitted = [answer for answer in answers if answer.status == 202]
        require(
            len(admitted) < 2,
            "for i in 1 2 3 4 5 6; do curl -X POST http://127.0.0.1:8000/start & done; wait",
            "202 Accepted for one of six starts at the same time, 409 Conflict for the others",
            f"{times(len(admitted))} 202: they looked, all saw nobody, and all took the lease",
            TAKE,
        )
        for words in heard:
            require(
                not takes_without_end(words),
                curl("POST", "/start"),
                "a lease that ends by itself from the moment it is taken: one SET with NX and PX",
                f"Redis was sent: {' '.join(words)[:200]}",
                TAKE,
            )
        if not admitted:  # to who gives up early, a Redis that holds its breath looks dead
            again = scene.start_sooner_or_later(scene.patient_api)
            admitted = [again.expect(202, "for one of six starts", START)]
        run_id, kernel = scene.begun(admitted[0])
        scene.require_an_end()
        scene.require_success(run_id, kernel, CLAIM)  # its lease is longer than the others'


@pytest.mark.task("12.1")
def test_a_run_whose_worker_died_is_lost_and_makes_way(scene: Scene) -> None:
    with scene.act(workers=2):
        run_id, kernel = scene.going or scene.begin()
        scene.going = None
        answer = scene.api.post("/start").expect(409, f"run {run_id} is in the way", TAKE)
        answer.object("nb_runner/main.py: busy()")
        scene.worker_of(kernel).kill()
        scene.require_lost(run_id, "./workshop break worker", "its worker was killed")
        scene.going = scene.begin()


@pytest.mark.task("12.2")
def test_a_run_keeps_its_lease_for_as_long_as_it_takes(scene: Scene) -> None:
    with scene.act(workers=1):
        run_id, kernel = scene.going or scene.begin()
        scene.going = None
        scene.require_an_end()
        silence = LEASE * 3 / 8
        began = time.monotonic()
        hold_breath(scene.redis, silence)
        scene.redis.ping()  # answered when the silence is over
        while time.monotonic() < began + LEASE + 1:
            status = scene.status(run_id)
            require(
                status == "RUNNING",
                f"{curl('POST', '/start')}, and a notebook that takes longer than its lease "
                f"({LEASE:g} s here), with a Redis that is silent for {silence:g} s of it",
                "RUNNING, for as long as the notebook runs: the worker lives, and says so",
                status,
                BEAT,
            )
            time.sleep(0.1)
        scene.api.post("/start").expect(409, f"run {run_id} is in the way", BEAT)
        scene.require_success(run_id, kernel, BEAT)


@pytest.mark.task("12.3")
def test_who_wakes_up_late_takes_nothing_away(scene: Scene) -> None:
    with scene.act(workers=2):
        old, kernel = scene.begin()
        scene.require_an_end()
        sleeper = scene.worker_of(kernel)
        tell(sleeper, signal.SIGSTOP)
        try:
            scene.require_lost(old, "./workshop break pause", "its worker was paused")
            new, new_kernel = scene.begin()
        finally:
            tell(sleeper, signal.SIGCONT)
        did = f"./workshop run 12 --workers 2\n./workshop break pause\n{curl('POST', '/start')}"
        require(
            eventually(lambda: not alive(kernel), PATIENCE / 2),
            f"{did}\nand waited for the paused worker to wake up",
            f"that it ends its kernel: run {old} lost its lease, and run {new} is at work",
            f"the kernel of run {old} works on, so there are two",
            "nb_runner/lease.py: renew() and Heartbeat._beat()",
        )
        # What it does with the lease it does at the end of its task, which its log tells.
        ended = re.compile(re.escape(old) + r"\] (succeeded|raised)")
        eventually(lambda: ended.search(sleeper.output()), PATIENCE / 3)
        watched = time.monotonic()
        while time.monotonic() < watched + LEASE / 3:
            status = scene.status(new)
            require(
                status == "RUNNING",
                f"{did}\n{curl('GET', f'/status/{new}')} when the paused worker has woken up",
                f"RUNNING: the lease is run {new}'s, and none of the other worker's business",
                f"{status}: the worker that woke up took the lease away from it",
                RELEASE,
            )
            time.sleep(0.1)
        scene.api.post("/start").expect(409, f"run {new} is in the way", RELEASE)
        scene.require_success(new, new_kernel, RELEASE)


@pytest.mark.task("12.4")
def test_a_running_notebook_is_cancelled_with_its_kernel(scene: Scene) -> None:
    with scene.act(workers=1):
        run_id, kernel = scene.begin()
        scene.api.post("/cancel").expect(202, f"run {run_id} is to end", "nb_runner/main.py")
        did = f"{curl('POST', '/cancel')}\n{curl('GET', f'/status/{run_id}')}"
        eventually(lambda: scene.status(run_id) == "CANCELLED", LATE + 2)
        status = scene.status(run_id)
        got = f"{status}, {LATE + 2:g} s later"
        require(status == "CANCELLED", did, "CANCELLED a moment later", got, CANCEL)
        require(
            eventually(lambda: not alive(kernel), LATE),
            did,
            "that the run's kernel is gone",
            "it still runs",
            CANCEL,
        )
        again = scene.start_sooner_or_later(scene.api)
        again.expect(202, f"run {run_id} has ended, and makes way", CANCEL)
        scene.begun(again)


@pytest.mark.task("12.4")
def test_a_run_that_was_cancelled_before_a_worker_came_never_runs(scene: Scene) -> None:
    with scene.act(workers=0):
        scene.clear()
        scene.known |= scene.ran()
        env = scene.env | {"LEASE_SECONDS": "60"}  # a worker may take its time to start
        api = scene.submission.up(api=1, env=env)
        started = api.post("/start").expect(202, "nothing is running", START)
        run_id = str(started.field("run_id", START))
        api.post("/cancel").expect(202, f"run {run_id} is to end", "nb_runner/main.py: cancel()")
        scene.submission.worker(env)
        did = (
            "./workshop run 12 --workers 0\n"
            f"{curl('POST', '/start')}\n{curl('POST', '/cancel')}\nthen started a worker"
        )
        again: list[Answer] = []

        def goes_on() -> bool:
            again.append(api.post("/start"))
            return again[-1].status == 202 or bool(scene.ran())

        # Messages come in order: once the second run is at work, the first is out of the way.
        gone = eventually(goes_on, PATIENCE / 2)
        executed = f"the notebook was executed; run {run_id} is {scene.status(run_id, api)}"
        require(
            again[-1].status == 202 or not gone,
            did,
            "that the cancelled run is never executed",
            executed,
            CANCEL,
        )
        again[-1].expect(202, "once a worker has put the cancelled run aside", CLAIM)
        second = str(again[-1].field("run_id", START))
        eventually(lambda: scene.status(second, api) != "QUEUED" and scene.ran(), PATIENCE)
        require(len(scene.ran()) <= 1, did, "one run of the notebook: the second", executed, CANCEL)
        status = scene.status(run_id, api)
        require(status == "CANCELLED", did, f"CANCELLED for run {run_id}", status, CANCEL)
