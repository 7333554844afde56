"""Exercise 07: one run at a time, however many ask, and whoever dies."""

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
from kit.grading.runs import ACTIVE, ENDED, POLL, follow, run_id_of, start, status
from kit.grading.slow_proxy import SlowProxy
from kit.grading.submission import Submission
from kit.grading.values import duration, times
from kit.processes.child import Child

START = "nb_runner/main.py: start(), and what it asks of nb_runner/runs.py"
LOCK = "nb_runner/runs.py: the lock"
TWICE = f"{curl('POST', '/start', {'seconds': 60})}\n{curl('POST', '/start')}"
AT_ONCE = 6  # starts
DELAY = 0.005  # seconds on each way to Redis, so that all who look at once do so for certain
SHORTLY = 2.0  # seconds that a refusal may take
FREED = 15.0  # seconds after which a start has to be possible again
LONG = 300  # seconds; a lock for a decision needs a few, and nobody waits for longer than this


class Stack:
    """Two API processes, each with its own way to Redis, and one worker for both."""

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
    def no_worker(self) -> Iterator[None]:
        """Whatever is queued stays queued meanwhile."""
        self.worker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.worker.signal(signal.SIGCONT)

    def quiet(self) -> None:
        """Wait until the newest run, if there is one, has ended."""
        answer = self.api.get("/status")
        if answer.status == 200:
            follow(self.api, run_id_of(answer), ENDED, START)


@pytest.fixture(scope="module")
def stack(submission: Submission) -> Iterator[Stack]:
    with ExitStack() as open_ones:
        proxies = [open_ones.enter_context(SlowProxy(submission.redis_url)) for _ in range(2)]
        yield Stack(submission, proxies)


def refused(answer: Answer, running: str, meanwhile: str) -> None:
    """Wrong unless the start was refused, and the refusal names the run in the way."""
    answer.did = TWICE
    answer.expect(409, f"run {running} is {meanwhile}", START)
    if answer.field("running", START) != running:
        answer.wrong(f'"running": "{running}", the id of the run in the way', START)


@pytest.mark.task("7.1")
def test_a_second_start_is_refused_while_the_first_is_queued_or_runs(stack: Stack) -> None:
    with stack.no_worker():
        first = start(stack.api, {"seconds": 0.5})
        refused(stack.api.post("/start"), first, "queued, and a second one has to wait")
    if follow(stack.api, first, ("RUNNING", *ENDED), START) == "RUNNING":
        answer = stack.apis[1].post("/start", {"seconds": 0})
        if answer.status != 202 or status(stack.api, first) in ACTIVE:  # it may end meanwhile
            refused(answer, first, "running, and a second one has to wait")
    stack.quiet()


@pytest.mark.task("7.1")
def test_a_start_is_possible_again_when_the_run_has_ended(stack: Stack) -> None:
    stack.quiet()
    fails = start(stack.api, {"seconds": 0, "rows": 0}, "no run is in the way any more")
    follow(stack.api, fails, ENDED, START)
    again = start(stack.api, {"seconds": 0}, "the run before has ended, if only by failing")
    follow(stack.api, again, ENDED, START)


@pytest.mark.task("7.2")
def test_of_many_who_start_at_once_one_gets_in(stack: Stack) -> None:
    stack.quiet()
    did = f"{AT_ONCE} of these at once, to two API processes:\n{curl('POST', '/start')}"
    with stack.no_worker():
        answers = all_at_once(stack)
    broken = [answer for answer in answers if answer.status not in (202, 409, 503)]
    if broken:
        expected = "202 Accepted for one of them, 409 Conflict for all others"
        raise Wrong(did, expected, f"among others, {broken[0]}", START)
    counts = Counter(answer.status for answer in answers)
    got = ", ".join(f"{times(count)} {code}" for code, count in sorted(counts.items()))
    expected = f"once 202 Accepted, {AT_ONCE - 1} times 409 Conflict"
    require(counts[202] == 1, did, expected, got, START)


def all_at_once(stack: Stack) -> list[Answer]:
    """Many starts, whose first questions to Redis all arrive there at the same moment."""
    for proxy in stack.proxies:
        proxy.hold()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            asked = [
                pool.submit(stack.apis[n % 2].post, "/start", {"seconds": 0})
                for n in range(AT_ONCE)
            ]
            wait_for_the_last(stack.proxies)
        finally:
            for proxy in stack.proxies:
                proxy.delay = DELAY
                proxy.release()
        try:
            return [answer.result() for answer in asked]
        finally:
            for proxy in stack.proxies:
                proxy.delay = 0


def wait_for_the_last(proxies: list[SlowProxy]) -> None:
    """Until both API processes have asked something, and no more comes. How many that are is the
    project's own business: one for each start, or for each process.
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
def test_the_lock_opens_by_itself(stack: Stack) -> None:
    stack.quiet()
    with stack.redis as client, watched(client) as commands:
        run_id = start(stack.api, {"seconds": 0})
    for key in locks_for_ever(commands):
        raise Wrong(
            curl("POST", "/start"),
            "a lock with a timeout: SET … NX PX …, or whoever dies holding it shuts it for ever",
            f"a lock without one: {key}",
            LOCK,
        )
    for seconds in sorted(timeouts(commands, stack.redis), reverse=True):
        require(
            seconds <= LONG,
            curl("POST", "/start"),
            "a lock with a timeout of seconds: it is held for a decision, not for a run",
            f"a lock that stays shut for {seconds:g} s when its holder dies",
            LOCK,
        )
    follow(stack.api, run_id, ENDED, START)


@pytest.mark.task("7.3")
def test_nobody_holds_the_lock_while_the_work_goes_on(stack: Stack) -> None:
    stack.quiet()
    run_id = start(stack.api, {"seconds": 60})
    follow(stack.api, run_id, ("RUNNING",), START)
    began = time.monotonic()
    answer = stack.apis[1].post("/start")
    took = time.monotonic() - began
    answer.did = TWICE
    answer.expect(409, f"run {run_id} is running", START)
    expected = f"a refusal within {SHORTLY:g} s: the lock is free while the work goes on"
    require(took < SHORTLY, answer.did, expected, f"one after {duration(took)}", LOCK)
    with stack.no_worker():
        kill_the_process_at_work(stack.worker)
    did = f"kill -9 the worker's process that runs {run_id}, then\n{curl('POST', '/start')}"
    wait_for_a_start(stack.api, did)


def kill_the_process_at_work(worker: Child) -> None:
    """As the kernel does when memory is short. The worker lives on, and tells that it failed.

    Woken by a child that is not quite dead yet, Celery looks again only five seconds later. So the
    worker is to be asleep meanwhile.
    """
    with suppress(psutil.Error):  # a worker that is gone already will not run anything either
        children = psutil.Process(worker.pid).children()
        for process in children:
            process.kill()
        while any(process.status() != psutil.STATUS_ZOMBIE for process in children):
            time.sleep(POLL)


def wait_for_a_start(api: Api, did: str) -> None:
    """Wrong unless a start gets in again."""
    deadline = time.monotonic() + FREED
    while (answer := api.post("/start", {"seconds": 0})).status != 202:
        if answer.status != 409 or time.monotonic() > deadline:
            expected = f"202 Accepted within {FREED:g} s: Celery says that the run has FAILED"
            raise Wrong(did, expected, str(answer), LOCK)
        time.sleep(POLL)
    follow(api, run_id_of(answer), ENDED, START)


@contextmanager
def watched(client: "Redis") -> Iterator[list[str]]:
    """All that Redis is told meanwhile. Nothing where Redis cannot tell, as fakeredis cannot."""
    heard: list[str] = []
    with ExitStack() as open_ones:
        try:
            monitor = open_ones.enter_context(client.monitor())  # type: ignore[no-untyped-call]
        except RedisError:
            yield heard
            return
        yield heard
        client.echo("the end")
        while (command := monitor.next_command())["command"] != "ECHO the end":
            if command["client_type"] != "lua":  # a script is one step, whatever it does
                heard.append(command["command"])


def locks_for_ever(commands: list[str]) -> list[str]:
    """The commands that take a lock, if nothing says when it ends."""
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


def timeouts(commands: list[str], redis: "Redis") -> list[float]:
    """After how many seconds the locks open by themselves that were taken in one step.

    What is still there was no lock, which is released by now: a record, say, that may last.
    """
    found = []
    for command in commands:
        taken = re.match(r"SET (\S+) \S+ .*\bNX\b", command, re.IGNORECASE)
        ends = re.search(r" (PX|EX) (\d+)", command, re.IGNORECASE)
        if taken and ends and not redis.exists(taken[1]):
            found.append(int(ends[2]) / (1000 if ends[1].upper() == "PX" else 1))
    return found
