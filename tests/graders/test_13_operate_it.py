"""Exercise 13: settings, readiness and metrics."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import nbformat
import pytest

from kit.grading.api import Answer, Api, curl
from kit.grading.diagnosis import reason
from kit.grading.submission import Env, Submission
from kit.grading.texts import readable
from kit.grading.waiting import TIMEOUT, eventually
from kit.processes.child import Child
from kit.processes.ports import closed_socket, free_socket
from kit.processes.project import start_api
from kit.verdicts.failure import Wrong, require

LEASE = "60"  # seconds; long enough that no lease expires in these tests
# The bounds of LEASE_SECONDS. Two API processes have them: the first, and one without Redis.
UPPER, LOWER = "3600", "2"
OUTSIDE = ("1.9", "3601")

SETTINGS = "nb_runner/config.py: Settings.lease_seconds"
READY = "nb_runner/health.py: ready()"
METRICS = "nb_runner/health.py: _Snapshot.collect()"
START = "nb_runner/main.py: start()"
REFUSED = "nb_runner_refused_starts_total"
REFUSALS = 3  # how many starts the test has refused


class Runner:
    """The submission's API processes, each on a port of its own, and a notebook.

    `api` and `other` share a Redis. Where `lonely` looks for it, there is none.

    The first worker starts while other processes start. `without_worker` is what /ready answered
    before.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.notebook = submission.state / "short.ipynb"
        self.write_notebook()
        self.env = {"LEASE_SECONDS": LEASE, "NOTEBOOK_PATH": str(self.notebook)}
        self.bound_refused: Wrong | None = None
        self.api, self.other = self._up(UPPER, self.env, self.env)
        self.without_worker = self.api.get("/ready")
        self._first_worker = ThreadPoolExecutor(1).submit(submission.worker, self.env)
        self.refused = [(value, self._start_refused(value)) for value in OUTSIDE]
        self._no_redis = closed_socket()
        no_redis = f"redis://127.0.0.1:{self._no_redis.getsockname()[1]}/0"
        [self.lonely] = self._up(LOWER, self.env | {"REDIS_URL": no_redis})

    def _up(self, lease: str, first: Env, *others: Env) -> list[Api]:
        """Start API processes, the first of them with this lease; where it is refused, as usual."""
        try:
            return self.submission.up_apart({**first, "LEASE_SECONDS": lease}, *others)
        except Wrong as error:  # for task 13.1; the other tasks go on
            self.bound_refused = error
            return self.submission.up_apart(first, *others)

    def _start_refused(self, value: str) -> Child:
        """Start an API process whose lease is out of bounds."""
        submission = self.submission
        env = submission.env(self.env | {"LEASE_SECONDS": value})
        with free_socket() as sock:
            name = 50 + OUTSIDE.index(value)
            return start_api(submission.stack, submission.project, name, sock, env)

    def write_notebook(self) -> None:
        cells = [nbformat.v4.new_code_cell("print('done')")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), self.notebook)

    def ready(self) -> Answer:
        """What /ready answers when a worker has been up for long enough: the last answer."""
        self._first_worker.result()
        deadline = time.monotonic() + TIMEOUT
        while (answer := self.api.get("/ready")).status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        return answer

    def close(self) -> None:
        """Give back the port that has no Redis behind it."""
        self._no_redis.close()

    def end_workers(self) -> None:
        """From now on, a run that is started stays active."""
        self._first_worker.result()
        for child in self.submission.workers:
            child.kill()


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Iterator[Runner]:
    with closing(Runner(submission)) as runner:
        yield runner


@pytest.mark.task("13.1")
def test_a_lease_that_cannot_work_is_refused_with_a_sentence(runner: Runner) -> None:
    for value, child in runner.refused:
        did = f"LEASE_SECONDS={value} ./workshop run 13"

        def decided(child: Child = child) -> bool:
            return not child.running or "startup complete" in child.output()

        eventually(decided, TIMEOUT)
        started = child.running
        child.kill()
        log = child.output()
        require(
            not started,
            did,
            "that it does not start, and says why",
            f"it starts, with a lease of {value} s",
            SETTINGS,
        )
        require(
            "Traceback" not in log,
            did,
            "a sentence",
            f"a traceback that ends with: {reason(log)}",
            SETTINGS,
        )
        line = next((line for line in log.splitlines() if "LEASE_SECONDS" in line), "")
        numbers = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", line)}
        require(
            {float(LOWER), float(UPPER)} <= numbers,
            did,
            "a line that names LEASE_SECONDS and what is allowed: 2 to 3600",
            line or "\n".join(log.splitlines()[-3:]) or "nothing",
            f"{SETTINGS}, its description",
        )


@pytest.mark.task("13.1")
def test_the_bounds_themselves_are_allowed(runner: Runner) -> None:
    refused = runner.bound_refused
    if refused is not None:
        did = f"LEASE_SECONDS={LOWER} ./workshop run 13   # and with {UPPER}"
        expected = f"an API that starts: {LOWER} and {UPPER} themselves are allowed"
        raise Wrong(did, expected, refused.got, SETTINGS)


def require_not_ready(answer: Answer, part: str, why: str) -> None:
    answer.expect(503, why, READY)
    words = answer.field(part, READY)
    if not readable(words):
        answer.wrong(f"{part!r} to say what is wrong, in two words or more", READY)


@pytest.mark.task("13.2")
def test_without_a_worker_it_is_not_ready(runner: Runner) -> None:
    require_not_ready(runner.without_worker, "worker", "no worker is up, so no start would work")


@pytest.mark.task("13.2")
def test_without_redis_it_is_not_ready(runner: Runner) -> None:
    answer = runner.lonely.get("/ready")
    answer.did = f"{answer.did}   # where REDIS_URL names a port with nothing behind it"
    require_not_ready(answer, "redis", "without Redis no start would work")


@pytest.mark.task("13.2")
def test_with_a_worker_and_a_notebook_it_is_ready(runner: Runner) -> None:
    runner.ready().expect(200, "Redis and a worker answer, and the notebook can be read", READY)


@pytest.mark.task("13.2")
def test_a_notebook_that_cannot_be_read_is_not_ready(runner: Runner) -> None:
    runner.ready()
    try:
        runner.notebook.write_text(json.dumps("this is no notebook"))
        answer = runner.api.get("/ready")
        require_not_ready(answer, "notebook", "the notebook was overwritten with nonsense")
        runner.notebook.unlink()
        answer = runner.api.get("/ready")
        require_not_ready(answer, "notebook", "the notebook is gone")
    finally:
        runner.write_notebook()
    runner.ready().expect(200, "the notebook is there again", READY)


@pytest.mark.task("13.3")
def test_refused_starts_are_a_counter(runner: Runner) -> None:
    answer = runner.api.get("/metrics").expect(200, "in Prometheus's format", METRICS)
    types = re.findall(
        rf"^# TYPE {REFUSED.removesuffix('_total')}(?:_total)? (\w+)$", answer.text, re.M
    )
    if types != ["counter"]:
        got = "\n".join(line for line in answer.text.splitlines() if "refused" in line)
        answer.wrong(f"a counter: # TYPE {REFUSED} counter", METRICS, got or "no such line")


@pytest.mark.task("13.3")
def test_refused_starts_are_counted_for_all_processes(runner: Runner) -> None:
    runner.end_workers()
    before = metric(runner.other)
    first = runner.api.post("/start").expect(202, "nothing is running", START)
    running = first.field("run_id", START)
    for _ in range(REFUSALS):
        runner.api.post("/start").expect(409, f"run {running} blocks it", START)
    for again in ("", ", for the second time"):
        after = metric(runner.other)
        require(
            after - before == REFUSALS,
            f"{curl('POST', '/start')}   (three times, each answered 409)\n"
            f"{curl('GET', '/metrics')}   (of another API process{again})",
            f"{REFUSED} {REFUSALS} more than before: {before + REFUSALS:g}",
            f"{REFUSED} {after:g}",
            METRICS,
        )


def metric(api: Api) -> float:
    """How many starts were refused, as Prometheus would read it."""
    answer = api.get("/metrics").expect(200, "in Prometheus's format", METRICS)
    for line in answer.text.splitlines():
        if line.startswith(f"{REFUSED} "):
            try:
                return float(line.split()[1])
            except (ValueError, IndexError):
                answer.wrong(f"a number behind {REFUSED}", METRICS, line)
    near = [line for line in answer.text.splitlines() if "refused" in line]
    answer.wrong(f"a line {REFUSED} and a number", METRICS, "\n".join(near) or "no such line")
