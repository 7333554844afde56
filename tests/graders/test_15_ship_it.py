"""Exercise 15: fencing tokens, a redeploy in the middle of a run, and the API key."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import nbformat
import pytest
import redis as redis_client
import sqlalchemy

from kit.errors import KitError
from kit.grading.api import Answer, Api, curl
from kit.grading.runner.data import RunnerData
from kit.grading.submission import Submission
from kit.grading.waiting import TIMEOUT, eventually
from kit.processes.child import Child
from kit.processes.redis_tiers import INSTALL_REDIS
from kit.verdicts.failure import Wrong, require

STOP_TIMEOUT = 15.0  # seconds for a worker that is told to stop
LEASE = "60"  # seconds; long enough that no lease expires in these tests
KEY = "open-sesame"
OTHER_KEYS = ("open", "open-sesame-2", "", "öpen-sesame")  # none of them is the key

ISSUE = "nb_runner/extras/fencing.py: issue()"
STOP = "nb_runner/worker/pool.py: EndsRuns.close()"
CHECK = "nb_runner/api/security.py: check()"
START = "nb_runner/main.py: start()"
TABLE = "fencing_tokens"


class Runner:
    """The submission's API processes and workers, and a notebook.

    `locked` is an API process with a key; it shares a Redis with `api`, which has none. A test that
    ends the worker starts another one.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.notebook = submission.state / "short.ipynb"
        self.hold_file = submission.state / "hold"  # while this file exists, runs do not end
        self._write_notebook()
        # No grace: a worker that is told to stop, stops.
        self.env = {
            "LEASE_SECONDS": LEASE,
            "NOTEBOOK_PATH": str(self.notebook),
            "CANCEL_GRACE": "0",
        }
        apis, _ = submission.up_each([self.env, self.env | {"RUNNER_API_KEY": KEY}], [self.env])
        (self.api, _), (self.locked, _) = apis

    def _write_notebook(self) -> None:
        source = f"import os, time\nwhile os.path.exists({str(self.hold_file)!r}): time.sleep(0.05)"
        cells = [nbformat.v4.new_code_cell(source), nbformat.v4.new_code_cell("print('done')")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), self.notebook)

    def workers(self) -> list[Child]:
        return [child for child in self.submission.workers if child.running]

    def ensure_worker(self) -> Child:
        return next(iter(self.workers()), None) or self.submission.worker(self.env)

    def start(self) -> str:
        """Start a run. Its id."""
        started = self.api.post("/start").expect(202, "nothing is running", START)
        return str(started.field("run_id", START))

    def record(self, run_id: str) -> dict[str, object]:
        answer = self.api.get(f"/status/{run_id}").expect(200, "that run was started", START)
        return answer.object(START)

    def has_ended(self, run_id: str) -> bool:
        return self.record(run_id).get("status") not in ("QUEUED", "RUNNING")

    def run(self) -> dict[str, object]:
        """Start a run, and wait for its end. Returns its record."""
        self.ensure_worker()
        run_id = self.start()
        eventually(lambda: self.has_ended(run_id), TIMEOUT)
        run = self.record(run_id)
        if run.get("status") != "SUCCEEDED":
            got = f"{run.get('status')}: {run.get('error')}"
            raise Wrong(curl("GET", f"/status/{run_id}"), "SUCCEEDED", got, "nb_runner/tasks.py")
        return run


@pytest.fixture(scope="module")
def runner(submission: Submission) -> Runner:
    try:
        submission.redis.info("server")
    except redis_client.ResponseError:
        raise KitError("exercise 15 needs a real Redis", INSTALL_REDIS) from None
    return Runner(submission)


@pytest.mark.task("15.1")
def test_a_later_run_has_a_larger_number_whatever_was_forgotten(runner: Runner) -> None:
    did = (
        f"{curl('POST', '/start')}\n{curl('GET', '/status')}   (its token)\n"
        "killed the worker, emptied Redis, deleted the rows of fencing_tokens;\n"
        "started a worker; and the same again"
    )
    first = token(run_with_a_token(runner), did)
    require_issued(runner.submission, first)
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


@pytest.mark.task("15.2")
def test_a_worker_that_is_told_to_stop_ends_its_run(runner: Runner) -> None:
    did = (
        f"{curl('POST', '/start')}\nkill WORKER   (SIGTERM, in the middle of the run)\n"
        f"{curl('GET', '/status')}"
    )
    worker = runner.ensure_worker()
    runner.hold_file.touch()
    try:
        run_id = runner.start()
        eventually(lambda: runner.record(run_id).get("cells_total"), TIMEOUT)
        worker.signal(signal.SIGTERM)
        stopped = eventually(lambda: not worker.running, STOP_TIMEOUT)
        record = runner.record(run_id)
    finally:
        runner.hold_file.unlink()
        worker.kill()
    status, reason = record.get("status"), record.get("reason")
    expected = "a worker that is gone within seconds, and a run that is FAILED: worker_stopped"
    if not stopped:
        got = f"{STOP_TIMEOUT:g} s later the worker is still there, and the run is {status}"
        raise Wrong(did, expected, got, STOP)
    if (status, reason) != ("FAILED", "worker_stopped"):
        got = f"the worker is gone, and the run is {status}: {reason}"
        raise Wrong(did, expected, got, STOP)


@pytest.mark.task("15.3")
def test_without_the_key_nothing_is_told_and_nothing_starts(runner: Runner) -> None:
    why = "RUNNER_API_KEY is set"
    for method, path in (("POST", "/start"), ("POST", "/cancel"), ("GET", "/runs")):
        locked(runner.locked, method, path).expect(401, f"{why}, and none was sent", CHECK)
    for key in OTHER_KEYS:
        answer = locked(runner.locked, "POST", "/start", key)
        answer.expect(401, f"{why}, and is another one", CHECK)


@pytest.mark.task("15.3")
def test_with_the_key_a_start_works(runner: Runner) -> None:
    def start() -> Answer:
        return locked(runner.locked, "POST", "/start", KEY)

    # A run of the test before, whose worker was killed, may still be active.
    forget_all(runner.submission)
    start().expect(202, "that is the key", CHECK)


def locked(api: Api, method: str, path: str, key: str | None = None) -> Answer:
    """The answer of the API process that has a key."""
    answer = api.request(method, path, headers={} if key is None else {"X-API-Key": key})
    answer.did = f"{answer.did}   # where RUNNER_API_KEY is {KEY}"
    return answer


def run_with_a_token(runner: Runner) -> dict[str, object]:
    """Start a run, and wait for its end. Raises Wrong; when the table is missing, that says so."""
    try:
        return runner.run()
    except Wrong as wrong:
        if has_table(runner.submission):
            raise
        module = "nb_runner/extras/fencing.py"
        expected = f"SUCCEEDED; nothing else makes the table {TABLE}, so {module} does"
        raise Wrong(wrong.did, expected, wrong.got, ISSUE) from None


def token(run: dict[str, object], did: str) -> int:
    number = run.get("token")
    if not isinstance(number, int) or isinstance(number, bool):
        raise Wrong(did, "a whole number as its token", repr(number), ISSUE)
    return number


def require_issued(submission: Submission, number: int) -> None:
    """Raise Wrong unless the database has given out this token."""
    numbers = issued(submission)
    did = f"{curl('POST', '/start')}\n{curl('GET', '/status')}   (its token)\n"
    did += f"SELECT token FROM {TABLE}   (in the database)"
    expected = f"the run's token, {number}, in the table: the database counts, and nothing else"
    got = ", ".join(map(str, numbers)) or "no number"
    require(number in numbers, did, expected, got, ISSUE)


def issued(submission: Submission) -> list[int]:
    """The numbers in the table of tokens."""
    if not has_table(submission):
        return []
    with database(submission) as engine, engine.connect() as connection:
        return list(connection.execute(sqlalchemy.text(f"SELECT token FROM {TABLE}")).scalars())


def forget_all(submission: Submission) -> None:
    """Empty Redis."""
    with RunnerData(submission.redis_url) as data:
        data.forget()


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
