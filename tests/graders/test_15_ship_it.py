"""Exercise 15: settings, readiness, metrics and fencing tokens of the runner that ships."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import nbformat
import pytest
import redis as redis_client
import sqlalchemy

from kit.errors import KitError
from kit.grading.api import Answer, Api, curl
from kit.grading.diagnosis import reason
from kit.grading.failure import Wrong, require
from kit.grading.submission import Env, Submission
from kit.grading.words import readable
from kit.processes.child import Child
from kit.processes.ports import free_port, free_socket
from kit.processes.project import start_api
from kit.processes.redis_tiers import INSTALL_REDIS

TIMEOUT = 30.0  # seconds for steps that take long on a busy machine only
LEASE = "60"  # seconds; long enough that no lease expires in these tests
# The bounds of LEASE_SECONDS. Two API processes have them: the first, and one without Redis.
UPPER, LOWER = "3600", "2"
OUTSIDE = ("1.9", "3601")

SETTINGS = "nb_runner/config.py: Settings.lease_seconds"
READY = "nb_runner/health.py: ready()"
METRICS = "nb_runner/health.py: _Snapshot.collect()"
ISSUE = "nb_runner/fencing.py: issue()"
TABLE = "fencing_tokens"
MARKER = "nb:marker"
REFUSED = "nb_runner_refused_starts_total"


def eventually(check: Callable[[], object], seconds: float) -> bool:
    """Wait until `check` is true. Whether it was true in time."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Runner:
    """The submission's API processes, each on a port of its own, and a notebook.

    `api` and `other` share a Redis. Where `lonely` looks for it, there is none.

    The first worker starts while other processes start. `without_worker` is what /ready answered
    before. A test that kills the worker starts another.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.notebook = submission.state / "short.ipynb"
        self.hold_file = submission.state / "hold"  # while this file exists, runs do not end
        self.write_notebook()
        self.env = {"LEASE_SECONDS": LEASE, "NOTEBOOK_PATH": str(self.notebook)}
        self.bound_refused: Wrong | None = None
        self.api, self.other = self._up(UPPER, self.env, self.env)
        self.without_worker = self.api.get("/ready")
        self._first_worker = ThreadPoolExecutor(1).submit(submission.worker, self.env)
        self.refused = [(value, self._start_refused(value)) for value in OUTSIDE]
        no_redis = f"redis://127.0.0.1:{free_port()}/0"
        [self.lonely] = self._up(LOWER, self.env | {"REDIS_URL": no_redis})

    def _up(self, lease: str, first: Env, *others: Env) -> list[Api]:
        """Start API processes, the first of them with this lease; where it is refused, as usual."""
        try:
            return self.submission.up_apart({**first, "LEASE_SECONDS": lease}, *others)
        except Wrong as error:  # for task 15.1; the other tasks go on
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
        source = f"import os, time\nwhile os.path.exists({str(self.hold_file)!r}): time.sleep(0.05)"
        cells = [nbformat.v4.new_code_cell(source), nbformat.v4.new_code_cell("print('done')")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), self.notebook)

    def workers(self) -> list[Child]:
        return [child for child in self.submission.workers if child.running]

    def ensure_worker(self) -> None:
        self._first_worker.result()
        self.workers() or self.submission.worker(self.env)

    def run(self) -> dict[str, object]:
        """Start a run, and wait for its end. Returns its record."""
        self.ensure_worker()
        started = self.api.post("/start").expect(202, "nothing is running", "nb_runner/api.py")
        path = f"/status/{started.field('run_id', 'nb_runner/api.py')}"

        def status() -> Answer:
            return self.api.get(path).expect(200, "that run was started", "nb_runner/api.py")

        def ended() -> bool:
            return status().field("status", "nb_runner/api.py") not in ("QUEUED", "RUNNING")

        eventually(ended, TIMEOUT)
        run = status().object("nb_runner/api.py")
        if run.get("status") != "SUCCEEDED":
            got = f"{run.get('status')}: {run.get('error')}"
            raise Wrong(curl("GET", path), "SUCCEEDED", got, "nb_runner/worker.py")
        return run


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Runner:
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 15 needs a real Redis", INSTALL_REDIS) from None
    return Runner(submission)


@pytest.mark.task("15.1")
def test_a_lease_that_cannot_work_is_refused_in_words(
    runner: Runner,
) -> None:
    for value, child in runner.refused:
        did = f"LEASE_SECONDS={value} ./workshop run 15"
        eventually(
            lambda child=child: (  # type: ignore[misc]
                not child.running or "startup complete" in child.output()
            ),
            TIMEOUT,
        )
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
        require(
            "2" in line.replace(value, "") and "3600" in line,
            did,
            "a line that names LEASE_SECONDS and what is allowed: 2 to 3600",
            line or "\n".join(log.splitlines()[-3:]) or "nothing",
            f"{SETTINGS}, its description",
        )


@pytest.mark.task("15.1")
def test_the_bounds_themselves_are_allowed(runner: Runner) -> None:
    refused = runner.bound_refused
    if refused is not None:
        did = f"LEASE_SECONDS={LOWER} ./workshop run 15   # and with {UPPER}"
        expected = f"an API that starts: {LOWER} and {UPPER} themselves are allowed"
        raise Wrong(did, expected, refused.got, SETTINGS)


def require_not_ready(answer: Answer, part: str, why: str) -> None:
    answer.expect(503, why, READY)
    words = answer.field(part, READY)
    if not readable(words):
        answer.wrong(f"{part!r} to say in words what is wrong", READY)


@pytest.mark.task("15.2")
def test_without_a_worker_it_is_not_ready(runner: Runner) -> None:
    require_not_ready(runner.without_worker, "worker", "no worker is up, so no start would work")


@pytest.mark.task("15.2")
def test_without_redis_it_is_not_ready(runner: Runner) -> None:
    answer = runner.lonely.get("/ready")
    answer.did = f"{answer.did}   # where REDIS_URL names a port with nothing behind it"
    require_not_ready(answer, "redis", "without Redis no start would work")


@pytest.mark.task("15.2")
def test_with_a_worker_and_a_notebook_it_is_ready(runner: Runner) -> None:
    runner.ensure_worker()
    eventually(lambda: runner.api.get("/ready").status == 200, TIMEOUT)
    answer = runner.api.get("/ready")
    answer.expect(200, "Redis and a worker answer, and the notebook can be used", READY)


@pytest.mark.task("15.2")
def test_with_a_broken_notebook_it_is_not_ready(runner: Runner) -> None:
    runner.ensure_worker()
    try:
        runner.notebook.write_text("this is no notebook")
        answer = runner.api.get("/ready")
        require_not_ready(answer, "notebook", "the notebook was overwritten with nonsense")
        runner.notebook.unlink()
        answer = runner.api.get("/ready")
        require_not_ready(answer, "notebook", "the notebook is gone")
    finally:
        runner.write_notebook()


@pytest.mark.task("15.3")
def test_refused_starts_are_a_counter(runner: Runner) -> None:
    answer = runner.api.get("/metrics").expect(200, "in Prometheus's format", METRICS)
    types = re.findall(
        rf"^# TYPE {REFUSED.removesuffix('_total')}(?:_total)? (\w+)$", answer.text, re.M
    )
    if types != ["counter"]:
        got = "\n".join(line for line in answer.text.splitlines() if "refused" in line)
        answer.wrong(f"a counter: # TYPE {REFUSED} counter", METRICS, got or "no such line")


@pytest.mark.task("15.3")
def test_refused_starts_are_counted_for_all_processes(runner: Runner) -> None:
    before = metric(runner.other)
    runner.ensure_worker()
    runner.hold_file.touch()
    try:
        first = runner.api.post("/start").expect(202, "nothing is running", "nb_runner/api.py")
        for _ in range(3):
            running = first.field("run_id", "nb_runner/api.py")
            runner.api.post("/start").expect(
                409, f"run {running} is in the way", "nb_runner/api.py"
            )
        after = metric(runner.other)
    finally:
        runner.hold_file.unlink()
    require(
        after - before == 3,
        f"{curl('POST', '/start')}   (three times, each answered 409)\n"
        f"{curl('GET', '/metrics')}   (of another API process)",
        f"{REFUSED} 3 more than before: {before + 3:g}",
        f"{REFUSED} {after:g}",
        METRICS,
    )
    path = f"/status/{first.field('run_id', 'nb_runner/api.py')}"
    eventually(lambda: runner.api.get(path).field("status", METRICS) == "SUCCEEDED", TIMEOUT)


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


@pytest.mark.task("15.4")
def test_a_later_run_has_a_larger_number_whatever_was_forgotten(runner: Runner) -> None:
    did = (
        f"{curl('POST', '/start')}\n{curl('GET', '/status')}   (its token)\n"
        "killed the worker, emptied Redis, deleted the rows of fencing_tokens;\n"
        "started a worker; and the same again"
    )
    first = token(run_with_a_token(runner), did)
    for child in runner.workers():
        child.kill()
    forget_all(runner.submission)
    forget_tokens(runner.submission)
    second = token(run_with_a_token(runner), did)
    require(
        second > first,
        did,
        f"a token larger than {first}: a larger number means a later run, for ever",
        f"{second}",
        ISSUE,
    )


def run_with_a_token(runner: Runner) -> dict[str, object]:
    """Start a run, and wait for its end. Raises Wrong; when the table is missing, that says so."""
    try:
        return runner.run()
    except Wrong as wrong:
        if has_table(runner.submission):
            raise
        expected = f"SUCCEEDED; nothing else makes the table {TABLE}, so nb_runner/fencing.py does"
        raise Wrong(wrong.did, expected, wrong.got, ISSUE) from None


def token(run: dict[str, object], did: str) -> int:
    number = run.get("token")
    if not isinstance(number, int) or isinstance(number, bool):
        raise Wrong(did, "a whole number as its token", repr(number), ISSUE)
    return number


def forget_all(submission: Submission) -> None:
    """Empty Redis. Only the marker stays: when it is missed, no start is admitted for a lease."""
    redis = submission.redis
    marker = redis.hgetall(MARKER)
    redis.flushall()
    if marker:
        redis.hset(MARKER, items=[part for pair in marker.items() for part in pair])


def forget_tokens(submission: Submission) -> None:
    """Delete the rows of fencing_tokens, as a clean-up of the database would."""
    if has_table(submission):
        with database(submission) as engine, engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"DELETE FROM {TABLE}"))


def has_table(submission: Submission) -> bool:
    """Whether the table of tokens is there."""
    with database(submission) as engine:
        return sqlalchemy.inspect(engine).has_table(TABLE)


@contextmanager
def database(submission: Submission) -> Iterator[sqlalchemy.Engine]:
    """The project's database."""
    url = submission.env()["DATABASE_URL"]
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    try:
        yield engine
    finally:
        engine.dispose()
