"""Exercise 06: a worker executes the runs, and every API process can read their records."""

import itertools
import time
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from kit.grading import values
from kit.grading.api import Answer, Api
from kit.grading.failure import NoAnswer, Wrong, require
from kit.grading.submission import Submission
from kit.grading.values import Kind

START = "nb_runner/main.py: start()"
SAVE = "nb_runner/main.py: start(), and nb_runner/runs.py: save()"
STATUS = "nb_runner/main.py: status(), and nb_runner/runs.py: get()"
NEWEST = "nb_runner/main.py: GET /status, and nb_runner/runs.py: latest()"
RECENT = "nb_runner/main.py: recent(), and nb_runner/runs.py: recent()"
STATUSES = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED")
SHORT, LONG = 1, 5  # seconds that a job takes
TIMEOUT_MARGIN = 15.0  # seconds in addition to the job's own
MESSAGE = '"content-encoding"'  # a part of every Celery message
WRITES = "SET SETNX SETEX PSETEX GETSET MSET MSETNX HSET HMSET HSETNX SADD ZADD XADD LPUSH RPUSH "
WRITES += "APPEND EVAL EVALSHA FCALL JSON.SET"
END_MARK = "that is all"


@pytest.fixture(scope="module")
def apis(submission: Submission) -> list[Api]:
    """Two API processes that share a Redis, and no worker."""
    return submission.up_apart({}, {})


@pytest.fixture(scope="module")
def api(apis: list[Api]) -> Api:
    return apis[0]


@pytest.fixture(scope="module")
def followed(submission: Submission, api: Api) -> tuple[list[str], Answer]:
    """With a worker up: the statuses of a run, and the last answer about it."""
    submission.worker()
    for seconds in (SHORT, LONG):  # a busy machine may miss a short one
        seen, answer = follow(api, start(api, seconds), seconds)
        if "RUNNING" in seen:
            break
    return seen, answer


@pytest.mark.task("6.1")
def test_a_start_is_queued(submission: Submission, api: Api) -> None:
    before = queued(submission.redis_url)
    answer = start(api, 0)
    status = answer.field("status", START)
    if status != "QUEUED":
        answer.wrong("the status QUEUED: there is no worker up", START)
    require_no_client_address(answer, START)
    got = "nothing new in the queue of the broker"
    expected = "a message in the queue, for a worker to find"
    require(queued(submission.redis_url) > before, answer.did, expected, got, START)


@pytest.mark.task("6.1")
def test_a_run_is_known_before_it_is_queued(submission: Submission, api: Api) -> None:
    try:
        commands, answer = commands_during_start(submission.redis_url, api)
    except ResponseError:
        return  # fakeredis, which has no MONITOR
    run_id = answer.field("run_id", START)
    pushes = [n for n, command in enumerate(commands) if MESSAGE in command]
    writes = [
        n for n, command in enumerate(commands) if run_id in command and writes_record(command)
    ]
    did = f"redis-cli monitor\n{answer.did}"
    require(pushes, did, "a message in the queue, for a worker to find", "none", START)
    expected = "the record of the run in Redis first, then the message to a worker"
    require(writes, did, expected, f"a message, and no record of run {run_id}", SAVE)
    order = "\n".join(f"{first_words(commands[n])} …" for n in (pushes[0], writes[0]))
    require(writes[0] < pushes[0], did, expected, f"the message first:\n{order}", SAVE)


@pytest.mark.task("6.2")
def test_a_run_without_a_worker_is_queued(api: Api) -> None:
    answer = status_of(api, start(api, 0))
    if answer.field("status", STATUS) != "QUEUED":
        answer.wrong("the status QUEUED: there is no worker up", STATUS)
    require_no_client_address(answer, STATUS)


@pytest.mark.task("6.2")
def test_an_unknown_run_is_not_found(api: Api) -> None:
    run_id = start(api, 0).field("run_id", START)
    other = values.note(Kind.RUN, run_id[:-1] + ("0" if run_id[-1] != "0" else "1"))
    api.get(f"/status/{quote(other)}").expect(404, "nobody started a run of that id", STATUS)


@pytest.mark.task("6.2")
def test_a_run_is_running_then_over(followed: tuple[list[str], Answer]) -> None:
    seen, answer = followed
    got = " → ".join(seen)
    whole = "RUNNING" in seen and seen[-1] == "SUCCEEDED"
    require(whole, answer.did, "QUEUED → RUNNING → SUCCEEDED", got, STATUS)


@pytest.mark.task("6.2")
def test_a_job_that_breaks_has_failed(api: Api, followed: object) -> None:
    seen, answer = follow(api, start(api, 0, rows=0), 0)
    if seen[-1] != "FAILED":
        answer.wrong("the status FAILED: without rows there is no mean", STATUS)


@pytest.mark.task("6.2")
def test_every_api_process_gives_the_same_status(apis: list[Api], followed: object) -> None:
    one, other = apis
    run = start(one, 0)
    follow(one, run, 0)
    answer = status_of(other, run, "   # asked of another API process of the same runner")
    if answer.field("status", STATUS) != "SUCCEEDED":
        answer.wrong("the status SUCCEEDED, as the process says that took the start", STATUS)


@pytest.mark.task("6.3")
def test_the_newest_run_needs_no_id(apis: list[Api]) -> None:
    for one, other in itertools.product(apis, apis):
        start(one, 0)
        run = start(one, 0)
        answer = other.get("/status")
        answer.did = f"{run.did}\n{answer.did}"
        answer.expect(200, "the newest run", NEWEST)
        newest = run.field("run_id", START)
        if answer.field("run_id", NEWEST) != newest:
            answer.wrong(f"the newest run, {newest}", NEWEST)
        require_no_client_address(answer, NEWEST)


@pytest.mark.task("6.3")
def test_the_last_runs_come_newest_first(apis: list[Api]) -> None:
    runs = [start(api, 0) for api in (*apis, *apis)]
    ids = [run.field("run_id", START) for run in reversed(runs)]
    for api in apis:
        answer = api.get(f"/runs?limit={len(ids)}").expect(200, "the last runs", RECENT)
        answer.did = "\n".join([*(run.did for run in runs), answer.did])
        listed = answer.json(RECENT)
        if not isinstance(listed, list):
            answer.wrong("a list of runs", RECENT)
        got = [run.get("run_id") if isinstance(run, dict) else run for run in listed]
        if got != ids:
            answer.wrong(f"the last runs, newest first: {', '.join(map(str, ids))}", RECENT)


@pytest.mark.task("6.3")
def test_before_the_first_start_there_is_no_newest_run(submission: Submission, api: Api) -> None:
    submission.redis.flushall()
    answer = api.get("/status")
    answer.did = f"redis-cli flushall\n{answer.did}"
    answer.expect(404, "nothing has been started yet", NEWEST)


def start(api: Api, seconds: float, rows: int = 60) -> Answer:
    """Start a run. Raises Wrong unless it is accepted at once."""
    try:
        answer = api.post("/start", {"seconds": seconds, "rows": rows})
    except NoAnswer as error:
        expected = "202 Accepted at once: a start does not wait for the work"
        raise Wrong(error.did, expected, error.got, START) from None
    answer.expect(202, "for a worker to do", START)
    run_id = answer.field("run_id", START)
    if not (isinstance(run_id, str) and run_id):
        answer.wrong("a text as `run_id`", START)
    return answer


def status_of(api: Api, run: Answer, comment: str = "") -> Answer:
    """The answer of GET /status about that run, with a known status."""
    answer = api.get(f"/status/{quote(run.field('run_id', START))}")
    answer.did = f"{run.did}\n{answer.did}{comment}"
    answer.expect(200, "the run that was just started", STATUS)
    if answer.field("status", STATUS) not in STATUSES:
        answer.wrong(f"a status that is one of our words: {', '.join(STATUSES)}", STATUS)
    return answer


def follow(api: Api, run: Answer, seconds: float) -> tuple[list[str], Answer]:
    """The statuses of a run until its end, and the last answer."""
    deadline = time.monotonic() + seconds + TIMEOUT_MARGIN
    seen: list[str] = []
    while True:
        answer = status_of(api, run)
        status = str(answer.field("status", STATUS))
        if status not in seen:
            seen.append(status)
        if status in ("SUCCEEDED", "FAILED"):
            return seen, answer
        if time.monotonic() > deadline:
            answer.wrong(f"SUCCEEDED or FAILED by now: a worker did the job of {seconds} s", STATUS)
        time.sleep(0.03)


def require_no_client_address(answer: Answer, where: str) -> None:
    """Raise Wrong if the answer has the address of the client."""
    if "client" in answer.object(where) or "127.0.0.1" in answer.text:
        answer.wrong("a run without what is only kept: the client's address", where)


def queued(url: str) -> int:
    """How many messages wait for a worker."""
    with Redis.from_url(url) as redis:
        lists = [name for name in redis.scan_iter() if redis.type(name) == b"list"]
        return sum(MESSAGE.encode() in each for name in lists for each in redis.lrange(name, 0, -1))


def commands_during_start(url: str, api: Api) -> tuple[list[str], Answer]:
    """The commands that Redis receives while a run is started, and the answer to the start."""
    client = Redis.from_url(url, decode_responses=True, socket_timeout=15)
    with client as redis, redis.monitor() as monitor:
        answer = start(api, 0)
        redis.echo(END_MARK)
        commands = [""]
        while END_MARK not in commands[-1]:
            commands.append(monitor.next_command()["command"])
    return commands, answer


def first_words(command: str) -> str:
    """The first words of a command, as many as fit in 70 characters."""
    return command[:70].rpartition(" ")[0] or command[:70]


def writes_record(command: str) -> bool:
    """Whether the command writes something to Redis other than a message."""
    return command.split(" ", 1)[0].upper() in WRITES.split() and MESSAGE not in command
