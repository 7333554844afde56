"""Exercise 06: runs that a worker does, and a record of each that every API process can read."""

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
WORDS = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED")
SHORT, LONG = 1, 5  # seconds that a job takes
PATIENCE = 15.0  # seconds on top of a job's own
MESSAGE = '"content-encoding"'  # what every message of Celery's has in it
WRITES = "SET SETNX SETEX PSETEX GETSET MSET MSETNX HSET HMSET HSETNX SADD ZADD XADD LPUSH RPUSH "
WRITES += "APPEND EVAL EVALSHA FCALL JSON.SET"
MARK = "that is all"


@pytest.fixture(scope="module")
def apis(submission: Submission) -> list[Api]:
    """Two API processes that share a Redis, and no worker."""
    return submission.up_apart({}, {})


@pytest.fixture(scope="module")
def api(apis: list[Api]) -> Api:
    return apis[0]


@pytest.fixture(scope="module")
def worked(submission: Submission, api: Api) -> tuple[list[str], Answer]:
    """What the statuses of a run were with a worker up, and the last answer."""
    submission.worker()
    for seconds in (SHORT, LONG):  # a busy machine may miss a short one
        seen, look = follow(api, start(api, seconds), seconds)
        if "RUNNING" in seen:
            break
    return seen, look


@pytest.mark.task("6.1")
def test_a_start_is_queued(submission: Submission, api: Api) -> None:
    before = queued(submission.redis_url)
    answer = start(api, 0)
    status = answer.field("status", START)
    if status != "QUEUED":
        answer.wrong("the status QUEUED: there is no worker up", START)
    keeps_its_secrets(answer, START)
    got = "nothing new in the queue of the broker"
    expected = "a message in the queue, for a worker to find"
    require(queued(submission.redis_url) > before, answer.did, expected, got, START)


@pytest.mark.task("6.1")
def test_a_run_is_known_before_it_is_queued(submission: Submission, api: Api) -> None:
    try:
        commands, answer = watch(submission.redis_url, api)
    except ResponseError:
        return  # an imitation, which does not tell what it was asked
    run_id = answer.field("run_id", START)
    pushes = [n for n, command in enumerate(commands) if MESSAGE in command]
    writes = [n for n, command in enumerate(commands) if run_id in command and writes_to(command)]
    did = f"redis-cli monitor\n{answer.did}"
    require(pushes, did, "a message in the queue, for a worker to find", "none", START)
    expected = "the record of the run in Redis first, then the message to a worker"
    require(writes, did, expected, f"a message, and no record of run {run_id}", SAVE)
    order = "\n".join(f"{start_of(commands[n])} …" for n in (pushes[0], writes[0]))
    require(writes[0] < pushes[0], did, expected, f"the message first:\n{order}", SAVE)


@pytest.mark.task("6.2")
def test_a_run_without_a_worker_is_queued(api: Api) -> None:
    look = status_of(api, start(api, 0))
    if look.field("status", STATUS) != "QUEUED":
        look.wrong("the status QUEUED: there is no worker up", STATUS)
    keeps_its_secrets(look, STATUS)


@pytest.mark.task("6.2")
def test_what_nobody_started_is_not_found(api: Api) -> None:
    run_id = start(api, 0).field("run_id", START)
    other = values.note(Kind.RUN, run_id[:-1] + ("0" if run_id[-1] != "0" else "1"))
    api.get(f"/status/{quote(other)}").expect(404, "nobody started a run of that id", STATUS)


@pytest.mark.task("6.2")
def test_a_run_is_running_then_over(worked: tuple[list[str], Answer]) -> None:
    seen, look = worked
    got = " → ".join(seen)
    whole = "RUNNING" in seen and seen[-1] == "SUCCEEDED"
    require(whole, look.did, "QUEUED → RUNNING → SUCCEEDED", got, STATUS)


@pytest.mark.task("6.2")
def test_a_job_that_breaks_has_failed(api: Api, worked: object) -> None:
    seen, look = follow(api, start(api, 0, rows=0), 0)
    if seen[-1] != "FAILED":
        look.wrong("the status FAILED: without rows there is no mean", STATUS)


@pytest.mark.task("6.2")
def test_every_api_process_tells_the_same(apis: list[Api], worked: object) -> None:
    one, other = apis
    run = start(one, 0)
    follow(one, run, 0)
    look = status_of(other, run, "   # asked of another API process of the same runner")
    if look.field("status", STATUS) != "SUCCEEDED":
        look.wrong("the status SUCCEEDED, as the process says that took the start", STATUS)


@pytest.mark.task("6.3")
def test_the_newest_run_needs_no_id(apis: list[Api]) -> None:
    for asked, told in itertools.product(apis, apis):
        start(asked, 0)
        run = start(asked, 0)
        look = told.get("/status")
        look.did = f"{run.did}\n{look.did}"
        look.expect(200, "the newest run", NEWEST)
        newest = run.field("run_id", START)
        if look.field("run_id", NEWEST) != newest:
            look.wrong(f"the newest run, {newest}", NEWEST)
        keeps_its_secrets(look, NEWEST)


@pytest.mark.task("6.3")
def test_the_last_runs_come_newest_first(apis: list[Api]) -> None:
    runs = [start(api, 0) for api in (*apis, *apis)]
    ids = [run.field("run_id", START) for run in reversed(runs)]
    for api in apis:
        look = api.get(f"/runs?limit={len(ids)}").expect(200, "the last runs", RECENT)
        look.did = "\n".join([*(run.did for run in runs), look.did])
        told = look.json(RECENT)
        if not isinstance(told, list):
            look.wrong("a list of runs", RECENT)
        got = [run.get("run_id") if isinstance(run, dict) else run for run in told]
        if got != ids:
            look.wrong(f"the last runs, newest first: {', '.join(map(str, ids))}", RECENT)


@pytest.mark.task("6.3")
def test_before_the_first_start_there_is_nothing_to_tell(submission: Submission, api: Api) -> None:
    submission.redis.flushall()
    look = api.get("/status")
    look.did = f"redis-cli flushall\n{look.did}"
    look.expect(404, "nothing has been started yet", NEWEST)


def start(api: Api, seconds: float, rows: int = 60) -> Answer:
    """Start a run; Wrong when it is not taken on at once."""
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
    """The answer about that run, its status one of our words."""
    look = api.get(f"/status/{quote(run.field('run_id', START))}")
    look.did = f"{run.did}\n{look.did}{comment}"
    look.expect(200, "the run that was just started", STATUS)
    if look.field("status", STATUS) not in WORDS:
        look.wrong(f"a status that is one of our words: {', '.join(WORDS)}", STATUS)
    return look


def follow(api: Api, run: Answer, seconds: float) -> tuple[list[str], Answer]:
    """The statuses of a run up to its end, and the last answer."""
    deadline = time.monotonic() + seconds + PATIENCE
    seen: list[str] = []
    while True:
        look = status_of(api, run)
        status = str(look.field("status", STATUS))
        if status not in seen:
            seen.append(status)
        if status in ("SUCCEEDED", "FAILED"):
            return seen, look
        if time.monotonic() > deadline:
            look.wrong(f"SUCCEEDED or FAILED by now: a worker did the job of {seconds} s", STATUS)
        time.sleep(0.03)


def keeps_its_secrets(answer: Answer, where: str) -> None:
    """Wrong if the answer tells whose address it was."""
    if "client" in answer.object(where) or "127.0.0.1" in answer.text:
        answer.wrong("a run without what is only kept: the client's address", where)


def queued(url: str) -> int:
    """How many messages wait for a worker."""
    with Redis.from_url(url) as redis:
        lists = [name for name in redis.scan_iter() if redis.type(name) == b"list"]
        return sum(MESSAGE.encode() in each for name in lists for each in redis.lrange(name, 0, -1))


def watch(url: str, api: Api) -> tuple[list[str], Answer]:
    """What Redis is asked while a run is started."""
    client = Redis.from_url(url, decode_responses=True, socket_timeout=15)
    with client as redis, redis.monitor() as monitor:
        answer = start(api, 0)
        redis.echo(MARK)
        commands = [""]
        while MARK not in commands[-1]:
            commands.append(monitor.next_command()["command"])
    return commands, answer


def start_of(command: str) -> str:
    """Its first words: enough to recognise it."""
    return command[:70].rpartition(" ")[0] or command[:70]


def writes_to(command: str) -> bool:
    """Whether it keeps something in Redis, other than a message."""
    return command.split(" ", 1)[0].upper() in WRITES.split() and MESSAGE not in command
