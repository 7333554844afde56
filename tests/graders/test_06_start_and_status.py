"""Exercise 06: a worker executes the runs, and every API process can read their records."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from redis import Redis

from explorer import Actor, Command, Data, Gate
from kit.grading.api import Answer, Api, curl
from kit.grading.gated.project import gate_before
from kit.grading.submission import Submission
from kit.grading.texts import require_no_client
from kit.verdicts import values
from kit.verdicts.failure import NoAnswer, Wrong, require
from kit.verdicts.values import Kind

START = "nb_runner/main.py: start()"
SAVE = "nb_runner/main.py: start(), and nb_runner/runs.py: save()"
STATUS = "nb_runner/main.py: status(), and nb_runner/runs.py: get()"
NEWEST = "nb_runner/main.py: GET /status, and nb_runner/runs.py: latest()"
RECENT = "nb_runner/main.py: recent(), and nb_runner/runs.py: recent()"
STATUSES = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED")
SHORT, LONG = 1, 5  # seconds that a job takes
TIMEOUT_MARGIN = 15.0  # seconds in addition to the job's own
MESSAGE = '"content-encoding"'  # a part of every Celery message
DEFAULT_LIMIT, MOST = 10, 100  # runs in a list
COMMAND_TIMEOUT = 30.0  # seconds until the API sends its next command
HELD_UP = 1.0  # seconds: a /ping that took longer says why a start failed


@pytest.fixture(scope="module")
def gate(submission: Submission) -> Iterator[Gate]:
    """What the first API process takes for its Redis. It is open, and can hold commands."""
    with gate_before(submission.redis_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def apis(submission: Submission, gate: Gate) -> list[Api]:
    """Two API processes that share a Redis, and no worker."""
    return submission.up_apart({"REDIS_URL": gate.url}, {})


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


@pytest.fixture(scope="module")
def started(submission: Submission, api: Api) -> tuple[Answer, list[str]]:
    """The first start, and the ids of the messages that it has put into the queue."""
    before = queued(submission.redis_url)
    answer = start(api, 0)
    return answer, [task for task in queued(submission.redis_url) if task not in before]


@pytest.mark.task("6.1")
def test_a_start_is_queued(started: tuple[Answer, list[str]]) -> None:
    answer, _ = started
    if answer.field("status", START) != "QUEUED":
        answer.wrong("the status QUEUED: there is no worker up", START)
    require_no_client(answer, START)


@pytest.mark.task("6.1")
def test_a_start_puts_a_message_into_the_queue(started: tuple[Answer, list[str]]) -> None:
    answer, messages = started
    got = "nothing new in the queue of the broker"
    require(messages, answer.did, "a message in the queue, for a worker to find", got, START)


@pytest.mark.task("6.1")
def test_the_message_has_the_id_of_the_record(started: tuple[Answer, list[str]]) -> None:
    answer, messages = started
    run_id = answer.field("run_id", START)
    expected = f"a message under the id that the record has: {run_id}"
    ids = ", ".join(values.note(Kind.RUN, task) for task in messages)
    got = f"a message under the id {ids}" if ids else "no message"
    require(run_id in messages, answer.did, expected, got, START)


@pytest.mark.task("6.1")
def test_a_run_is_known_before_it_is_queued(submission: Submission, gate: Gate, api: Api) -> None:
    name = values.unique("ada")  # by this text the record is found among the commands
    commands: list[Command] = []
    answer = start_slowly(submission, gate, lambda: start(api, 0, requested_by=name), commands)
    run_id = answer.field("run_id", START)
    pushes = [n for n, command in enumerate(commands) if is_message(command)]
    writes = [
        n
        for n, command in enumerate(commands)
        if not command.reads_only and not is_message(command) and found(command, name, run_id)
    ]
    did = f"redis-cli monitor\n{answer.did}"
    require(pushes, did, "a message in the queue, for a worker to find", "none", START)
    expected = "the record of the run in Redis first, then the message to a worker"
    require(writes, did, expected, f"a message, and no record of run {run_id}", SAVE)
    order = "\n".join(f"{first_words(commands[n])} …" for n in (pushes[0], writes[0]))
    require(writes[0] < pushes[0], did, expected, f"the message first:\n{order}", SAVE)


@pytest.mark.task("6.1")
def test_while_a_start_waits_for_redis_others_are_answered(
    submission: Submission, gate: Gate, api: Api
) -> None:
    commands: list[Command] = []
    slow: list[str] = []  # where the start was held, when /ping was not answered at once

    def ping() -> None:
        began = time.monotonic()
        try:
            api.get("/ping").expect(200, "the API is alive", "nb_runner/main.py: ping()")
        finally:
            if time.monotonic() - began > HELD_UP:
                slow.append(held_start(commands))

    # The start is held until /ping is answered. So where /ping waits for the start, one of them
    # fails: the start, whose client of Redis gives up, or /ping. A slow machine makes neither fail.
    try:
        start_slowly(submission, gate, lambda: start(api, 0), commands, ping)
    except Wrong:
        if not slow:
            raise
        did = f"{slow[0]}\n{curl('GET', '/ping')}"
        expected = "200 OK at once: a start that waits for Redis holds up no other request"
        got = "no answer as long as the start is held: the event loop waits for Redis, too"
        raise Wrong(did, expected, got, START) from None


@pytest.mark.task("6.2")
def test_a_run_without_a_worker_is_queued(api: Api) -> None:
    answer = status_of(api, start(api, 0))
    if answer.field("status", STATUS) != "QUEUED":
        answer.wrong("the status QUEUED: there is no worker up", STATUS)
    require_no_client(answer, STATUS)


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
def test_neither_the_newest_run_nor_the_list_tells_the_address(api: Api) -> None:
    start(api, 0)
    for path, where in (("/status", NEWEST), ("/runs", RECENT)):
        require_no_client(api.get(path).expect(200, "a run was started", where), where)


@pytest.mark.task("6.3")
def test_the_list_says_what_the_status_says(api: Api, followed: object) -> None:
    run = start(api, 0, rows=0)
    follow(api, run, 0)
    answer = api.get("/runs?limit=1").expect(200, "the last runs", RECENT)
    answer.did = f"{run.did}\n{answer.did}"
    listed = answer.json(RECENT)
    if [each.get("status") for each in listed if isinstance(each, dict)] != ["FAILED"]:
        answer.wrong("one run, with the status FAILED, as GET /status says", RECENT)


@pytest.mark.task("6.3")
def test_a_list_has_an_upper_bound(api: Api) -> None:
    for _ in range(DEFAULT_LIMIT + 1):
        start(api, 0)
    answer = api.get("/runs").expect(200, "the last runs", RECENT)
    if len(answer.json(RECENT)) != DEFAULT_LIMIT:
        answer.wrong(f"{DEFAULT_LIMIT} runs, as in exercise 03", RECENT)
    for limit in (0, MOST + 1):
        answer = api.get(f"/runs?limit={limit}")
        answer.expect(422, f"a limit is 1 to {MOST}, as in exercise 03", RECENT)


@pytest.mark.task("6.3")
def test_in_the_middle_of_a_start_there_is_a_newest_run(
    submission: Submission, gate: Gate, apis: list[Api]
) -> None:
    one, other = apis
    start(one, 0)
    commands: list[Command] = []

    def ask() -> None:
        for path in ("/status", "/runs"):
            answer = other.get(path)
            asked = f"{answer.did}   # asked of another API process meanwhile"
            answer.did = f"{held_start(commands)}\n{asked}"
            why = "an id in the list always has its record: the record comes first"
            answer.expect(200, why, "nb_runner/runs.py: save()")

    start_slowly(submission, gate, lambda: start(one, 0), commands, ask)


@pytest.mark.task("6.3")
def test_before_the_first_start_there_is_no_newest_run(submission: Submission, api: Api) -> None:
    submission.redis.flushall()
    answer = api.get("/status")
    answer.did = f"redis-cli flushall\n{answer.did}"
    answer.expect(404, "nothing has been started yet", NEWEST)


def start(api: Api, seconds: float, rows: int = 60, **more: str) -> Answer:
    """Start a run. Raises Wrong unless it is accepted at once."""
    try:
        answer = api.post("/start", {"seconds": seconds, "rows": rows, **more})
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


def queued(url: str) -> list[str]:
    """The ids of the tasks that wait for a worker."""
    with Redis.from_url(url, decode_responses=True) as redis:
        lists = [name for name in redis.scan_iter() if redis.type(name) == "list"]
        messages = [each for name in lists for each in redis.lrange(name, 0, -1)]
    tasks = [json.loads(each) for each in messages if MESSAGE in each]
    return [str(task["properties"].get("correlation_id")) for task in tasks]


def start_slowly(
    submission: Submission,
    gate: Gate,
    begin: Callable[[], Answer],
    commands: list[Command],
    meanwhile: Callable[[], None] = lambda: None,
) -> Answer:
    """Start a run, one command to Redis after the other. `meanwhile` is called while each waits."""
    actor = Actor("the start", gate, begin)
    with Data(submission.redis_url) as data:
        actor.start()
        try:
            while actor.settle(COMMAND_TIMEOUT) and not actor.ended:
                meanwhile()
                if step := actor.take(data, time.monotonic(), COMMAND_TIMEOUT):
                    commands += step.command.parts or [step.command]
        finally:
            actor.release()
        actor.end(COMMAND_TIMEOUT)
    if isinstance(actor.result, Exception):
        raise actor.result
    assert isinstance(actor.result, Answer)
    return actor.result


def held_start(commands: list[Command]) -> str:
    """A start that is held, as a line: the last command that it was allowed to send."""
    where = f"after: {first_words(commands[-1])}" if commands else "before its first command"
    return f"{curl('POST', '/start')}   # held {where}"


def is_message(command: Command) -> bool:
    """Whether the command puts a message for a worker into a queue."""
    return any(MESSAGE in word for word in command.words)


def found(command: Command, *texts: str) -> bool:
    """Whether the command has all these texts in it."""
    return all(any(text in word for word in command.words) for text in texts)


def first_words(command: Command) -> str:
    """The first words of a command, as many as fit in 70 characters."""
    text = " ".join(command.words)
    return text if len(text) <= 70 else text[:70].rpartition(" ")[0] or text[:70]
