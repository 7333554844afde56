"""Exercise 07: one run at a time, with many starts at once, and when a process dies."""

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from kit.grading.api import Answer, Api, curl
from kit.grading.failure import Wrong, require
from kit.grading.runs import ACTIVE, ENDED, STATUS_POLL_INTERVAL, follow, run_id_of, start, status
from kit.grading.slow_proxy import SlowProxy
from kit.grading.submission import Submission
from kit.grading.values import duration, times
from kit.processes.child import Child

START = "nb_runner/main.py: start(), and what it asks of nb_runner/runs.py"
LOCK = "nb_runner/runs.py: the lock"
TWO_STARTS = f"{curl('POST', '/start', {'seconds': 60})}\n{curl('POST', '/start')}"
AT_ONCE = 6  # starts
DELAY = 0.005  # seconds for each message to Redis and back, so that all starts stay in step
REFUSAL_TIMEOUT = 2.0  # seconds that a refusal may take
RESTART_TIMEOUT = 15.0  # seconds after a crash until a start is accepted again
LONGEST_LOCK = 300  # seconds; a lock that is held for a decision needs only a few


class Runner:
    """Two API processes, each with a proxy of its own to Redis, and one worker."""

    def __init__(self, submission: Submission, proxies: list[SlowProxy]) -> None:
        self.redis = submission.redis
        self.proxies = proxies
        envs = [{"REDIS_URL": proxy.url} for proxy in proxies]
        self.apis = submission.up_apart(*envs, workers=1)
        self.worker: Child = submission.workers[0]

    @property
    def api(self) -> Api:
        return self.apis[0]

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """The worker is stopped meanwhile, so runs stay queued."""
        self.worker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.worker.signal(signal.SIGCONT)

    def wait_until_idle(self) -> None:
        """Wait until the newest run has ended, if there is one."""
        answer = self.api.get("/status")
        if answer.status == 200:
            follow(self.api, run_id_of(answer), ENDED, START)


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Iterator[Runner]:
    with ExitStack() as contexts:
        proxies = [contexts.enter_context(SlowProxy(submission.redis_url)) for _ in range(2)]
        yield Runner(submission, proxies)


def require_refusal(answer: Answer, running: str, meanwhile: str) -> None:
    """Raise Wrong unless the start was refused, with the id of the active run."""
    answer.did = TWO_STARTS
    answer.expect(409, f"run {running} is {meanwhile}", START)
    if answer.field("running", START) != running:
        answer.wrong(f'"running": "{running}", the id of the run in the way', START)


@pytest.mark.task("7.1")
def test_a_second_start_is_refused_while_the_first_is_queued_or_runs(runner: Runner) -> None:
    with runner.worker_paused():
        first = start(runner.api, {"seconds": 0.5})
        require_refusal(runner.api.post("/start"), first, "queued, and a second one has to wait")
    if follow(runner.api, first, ("RUNNING", *ENDED), START) == "RUNNING":
        answer = runner.apis[1].post("/start", {"seconds": 0})
        if answer.status != 202 or status(runner.api, first) in ACTIVE:  # it may end meanwhile
            require_refusal(answer, first, "running, and a second one has to wait")
    runner.wait_until_idle()


@pytest.mark.task("7.1")
def test_a_start_is_possible_again_when_the_run_has_ended(runner: Runner) -> None:
    runner.wait_until_idle()
    fails = start(runner.api, {"seconds": 0, "rows": 0}, "no run is in the way any more")
    follow(runner.api, fails, ENDED, START)
    again = start(runner.api, {"seconds": 0}, "the run before has ended, if only by failing")
    follow(runner.api, again, ENDED, START)


@pytest.mark.task("7.2")
def test_one_of_many_simultaneous_starts_is_accepted(runner: Runner) -> None:
    runner.wait_until_idle()
    did = f"{AT_ONCE} of these at once, to two API processes:\n{curl('POST', '/start')}"
    with runner.worker_paused():
        answers = simultaneous_starts(runner)
    broken = [answer for answer in answers if answer.status not in (202, 409, 503)]
    if broken:
        expected = "202 Accepted for one of them, 409 Conflict for all others"
        raise Wrong(did, expected, f"among others, {broken[0]}", START)
    counts = Counter(answer.status for answer in answers)
    got = ", ".join(f"{times(count)} {code}" for code, count in sorted(counts.items()))
    expected = f"once 202 Accepted, {AT_ONCE - 1} times 409 Conflict"
    require(counts[202] == 1, did, expected, got, START)


def simultaneous_starts(runner: Runner) -> list[Answer]:
    """The answers to many starts, whose first messages reach Redis at the same moment."""
    for proxy in runner.proxies:
        proxy.hold()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            asked = [
                pool.submit(runner.apis[n % 2].post, "/start", {"seconds": 0})
                for n in range(AT_ONCE)
            ]
            wait_until_all_are_held(runner.proxies)
        finally:
            for proxy in runner.proxies:
                proxy.delay = DELAY
                proxy.release()
        try:
            return [answer.result() for answer in asked]
        finally:
            for proxy in runner.proxies:
                proxy.delay = 0


def wait_until_all_are_held(proxies: list[SlowProxy]) -> None:
    """Wait until both API processes have sent a message to Redis, and no more messages come.

    Their number depends on the project: one for each start, or one for each process.
    """
    deadline, last, since = time.monotonic() + 5, [0, 0], time.monotonic()
    while time.monotonic() < deadline:
        held = [proxy.held for proxy in proxies]
        if held != last:
            last, since = held, time.monotonic()
        enough = sum(held) >= AT_ONCE or (all(held) and time.monotonic() - since > 0.3)
        if enough and all(held):
            return
        time.sleep(0.01)


@pytest.mark.task("7.3")
def test_the_lock_opens_by_itself(runner: Runner) -> None:
    runner.wait_until_idle()
    with runner.redis as client, recorded_commands(client) as commands:
        run_id = start(runner.api, {"seconds": 0})
    for key in locks_without_timeout(commands):
        raise Wrong(
            curl("POST", "/start"),
            "a lock with a timeout: SET … NX PX …, or a process that dies while it holds it "
            "shuts it for ever",
            f"a lock without one: {key}",
            LOCK,
        )
    for seconds in sorted(lock_timeouts(commands, runner.redis), reverse=True):
        require(
            seconds <= LONGEST_LOCK,
            curl("POST", "/start"),
            "a lock with a timeout of seconds: it is held for a decision, not for a run",
            f"a lock that stays shut for {seconds:g} s when its holder dies",
            LOCK,
        )
    follow(runner.api, run_id, ENDED, START)


@pytest.mark.task("7.3")
def test_the_lock_is_free_while_the_work_goes_on(runner: Runner) -> None:
    runner.wait_until_idle()
    run_id = start(runner.api, {"seconds": 60})
    follow(runner.api, run_id, ("RUNNING",), START)
    began = time.monotonic()
    answer = runner.apis[1].post("/start")
    took = time.monotonic() - began
    answer.did = TWO_STARTS
    answer.expect(409, f"run {run_id} is running", START)
    expected = f"a refusal within {REFUSAL_TIMEOUT:g} s: the lock is free while the work goes on"
    require(took < REFUSAL_TIMEOUT, answer.did, expected, f"one after {duration(took)}", LOCK)
    with runner.worker_paused():
        kill_pool_process(runner.worker)
    did = f"kill -9 the worker's process that runs {run_id}, then\n{curl('POST', '/start')}"
    require_restart(runner.api, did)


def kill_pool_process(worker: Child) -> None:
    """Kill the worker's child process, as the kernel does when memory is short.

    The worker itself lives on, and records the failure. The worker has to be stopped meanwhile:
    if it wakes up before its child is a zombie, Celery checks again only five seconds later.
    """
    with suppress(psutil.Error):  # the worker may have ended already
        children = psutil.Process(worker.pid).children()
        for process in children:
            process.kill()
        while any(process.status() != psutil.STATUS_ZOMBIE for process in children):
            time.sleep(STATUS_POLL_INTERVAL)


def require_restart(api: Api, did: str) -> None:
    """Raise Wrong unless a start is accepted again in time."""
    deadline = time.monotonic() + RESTART_TIMEOUT
    while (answer := api.post("/start", {"seconds": 0})).status != 202:
        if answer.status != 409 or time.monotonic() > deadline:
            expected = (
                f"202 Accepted within {RESTART_TIMEOUT:g} s: Celery says that the run has FAILED"
            )
            raise Wrong(did, expected, str(answer), LOCK)
        time.sleep(STATUS_POLL_INTERVAL)
    follow(api, run_id_of(answer), ENDED, START)


@contextmanager
def recorded_commands(client: "Redis") -> Iterator[list[str]]:
    """The commands that Redis receives meanwhile; empty with fakeredis, which has no MONITOR."""
    recorded: list[str] = []
    with ExitStack() as contexts:
        try:
            monitor = contexts.enter_context(client.monitor())  # type: ignore[no-untyped-call]
        except RedisError:
            yield recorded
            return
        yield recorded
        client.echo("the end")
        while (command := monitor.next_command())["command"] != "ECHO the end":
            if command["client_type"] != "lua":  # the commands of a script are one atomic step
                recorded.append(command["command"])


def locks_without_timeout(commands: list[str]) -> list[str]:
    """The commands that take a lock without a timeout."""
    found = []
    for command in commands:
        name, _, rest = command.partition(" ")
        key = rest.partition(" ")[0]
        takes = name.upper() == "SETNX" or (
            name.upper() == "SET" and re.search(r" NX\b", rest, re.IGNORECASE)
        )
        ends = re.search(r" (PX|EX|PXAT|EXAT) \d+", rest, re.IGNORECASE) or any(
            re.match(rf"P?EXPIRE(AT)? {re.escape(key)} ", other, re.IGNORECASE)
            for other in commands
        )
        if takes and not ends:
            found.append(command)
    return found


def lock_timeouts(commands: list[str], redis: "Redis") -> list[float]:
    """The timeouts, in seconds, of the locks that were taken in one step.

    A key that still exists is no lock, because the lock has been released by now. It may be a
    record, which may last longer.
    """
    found = []
    for command in commands:
        taken = re.match(r"SET (\S+) \S+ .*\bNX\b", command, re.IGNORECASE)
        ends = re.search(r" (PX|EX) (\d+)", command, re.IGNORECASE)
        if taken and ends and not redis.exists(taken[1]):
            found.append(int(ends[2]) / (1000 if ends[1].upper() == "PX" else 1))
    return found
