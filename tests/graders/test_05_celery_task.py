"""Exercise 05: a Celery app on REDIS_URL, and a task that a producer calls by its name."""

import json
import re
import shlex
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from kit.grading.diagnosis import reason
from kit.grading.programs.start import Program
from kit.grading.submission import Submission
from kit.verdicts.failure import Wrong, require
from kit.verdicts.values import duration
from kit.workspace import shown

APP = "nb_runner/tasks.py: app"
TASK = "nb_runner/tasks.py: run_notebook() and its decorator"
RESULT = "nb_runner/tasks.py: run_notebook(), what it returns"
NAME = "nb_runner.run_notebook"
ECHO = "celery.accumulate"  # a task that every Celery app has; it returns its arguments
TIMEOUT_MARGIN = 15.0  # seconds in addition to the task's own
SHORT, LONG = 1.5, 5  # seconds that a task takes
ENDED = ("SUCCESS", "FAILURE", "REVOKED")


@dataclass
class Sent:
    """A task that was put into the queue, and what the result backend has said of it since."""

    name: str
    args: list[Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    states: list[str] = field(default_factory=list)  # in order
    outcome: dict[str, Any] | None = None  # at its end: `status`, `result`, `date_done`


class Producer:
    """Puts tasks into the queue with the project's own app, and reads their states in Redis.

    The app of the project knows its queues, its keys and its serializer, and the grader does not.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.redis = submission.redis
        self.sent: list[Sent] = []
        self.echo, self.slow, self.quick = self.send(
            (ECHO, ["hello"]), (NAME, [SHORT, 60]), (NAME, [0, 90])
        )
        self.worker = submission.worker()  # meanwhile, as both take half a second

    def close(self) -> None:
        self.redis.close()

    def command_line(self, task: Sent) -> str:
        """The call as a line to paste."""
        folder = shown(self.submission.folder)
        celery = [".venv/bin/celery", "--workdir", folder, "-A", "nb_runner.tasks"]
        call = shlex.join([*celery, "call", task.name, "--args", json.dumps(task.args)])
        return f"REDIS_URL=redis://127.0.0.1:PORT/0 {call}   # PORT as `./workshop run 05` tells"

    def send(self, *calls: tuple[str, list[Any]]) -> list[Sent]:
        """Have the tasks put into the queue, in this order. `wait_for` waits for that as well."""
        tasks = [Sent(name, args) for name, args in calls]
        words = json.dumps([[task.id, task.name, task.args] for task in tasks])
        self.sending = Program(self.submission, "producer", words)
        self.sent += tasks
        return tasks

    def wait_for(self, task: Sent, timeout: float) -> dict[str, Any] | None:
        """Wait for the end of a task. Returns what the backend has of it then.

        None: there is no end within `timeout` seconds, or the worker can bring none.
        """
        self.sending.result(self.command_line(task), "a message in the queue", APP)
        deadline = time.monotonic() + timeout
        while True:
            ended = self.worker_has_ended(task)  # before the look: a result comes before the log
            late = time.monotonic() > deadline or self.why_refused(task)
            outcome = self._stored_outcome(task)
            state = str(outcome.get("status"))
            if state not in task.states:
                task.states.append(state)
            # Celery fails an unknown task. The worker's log explains that better than the result.
            if state in ENDED and not self.why_refused(task):
                task.outcome = outcome
                return outcome
            if late or ended or state in ENDED:
                return None
            time.sleep(0.02)

    def _stored_outcome(self, task: Sent) -> dict[str, Any]:
        """What the backend has of a task, under whatever prefix; read without Celery's client."""
        try:
            for key in self.redis.scan_iter(f"*celery-task-meta-{task.id}", count=1000):
                return dict(json.loads(str(self.redis.get(key))))
        except (ValueError, TypeError):
            unreadable = {"exc_type": "EncodeError", "exc_message": ["it is there, but not JSON"]}
            return {"status": "FAILURE", "result": unreadable}
        return {"status": "PENDING"}

    def worker_has_ended(self, task: Sent) -> bool:
        """Whether the worker says in its log that it is done with the task, well or not."""
        return bool(re.search(rf"\[{task.id}\] (succeeded|raised)", self.worker.output()))

    def waits(self, task: Sent) -> bool:
        """Whether the message of the task is still in a queue."""
        queues = self.redis.scan_iter(count=1000, _type="list")
        return any(
            task.id in str(each) for queue in queues for each in self.redis.lrange(queue, 0, -1)
        )

    def why_refused(self, task: Sent) -> str:
        """Why the worker does not execute the task, from its log; empty if it does."""
        log = self.worker.output()
        if f"Received unregistered task of type '{task.name}'" in log:
            known = re.findall(r"^ +\. (\S+)$", log, re.MULTILINE)
            own = ", ".join(name for name in known if not name.startswith("celery.")) or "none"
            return (
                f"the worker took the message, and knows no task called {task.name}; "
                f"of yours it knows: {own}"
            )
        if "Refusing to deserialize" in log:
            return "the worker refuses messages in JSON: its `accept_content` leaves it out"
        if self.worker.running:
            return ""
        return "\n".join(filter(None, ["the worker has ended", reason(log)]))

    def why_no_result(self, task: Sent) -> str:
        """Why there is no result, from the states, the worker's log and the queues."""
        if why := self.why_refused(task):
            return why
        log = self.worker.output().replace("//:**@", "//")  # Celery's mask of no password
        urls = re.findall(r"(?:transport|results):.*", log)
        if self.waits(task):
            what = "the worker takes nothing from there"
        elif "disabled://" in log:
            what = "the worker took the task, and has no backend to bring the result to"
        elif task.states[-1:] != ["PENDING"] or self.worker_has_ended(task):
            # The connection works, so the last exception of the worker says more than its URLs.
            what = f"{' → '.join(task.states)}, and then no result"
            return "\n".join(filter(None, [what, reason(log)]))
        else:
            what = f"no result within {TIMEOUT_MARGIN:g} s"
        return "\n".join(filter(None, [f"{what}. Its log says", *urls[:2], reason(log)]))


@pytest.fixture(scope="module")
def producer(submission: Submission) -> Iterator[Producer]:
    producer = Producer(submission)
    yield producer
    producer.close()


@pytest.mark.task("5.1")
def test_a_worker_takes_from_the_broker_and_answers_to_the_backend(producer: Producer) -> None:
    if producer.wait_for(producer.echo, TIMEOUT_MARGIN) is None:
        call = producer.command_line(producer.echo)
        did = f"./workshop run 05\n{call}   # a task that every app has"
        expected = "a worker with its broker and its result backend where REDIS_URL says"
        raise Wrong(did, expected, producer.why_no_result(producer.echo), APP)


@pytest.mark.task("5.2")
def test_the_task_is_known_by_its_name_and_takes_arguments(producer: Producer) -> None:
    task = producer.slow
    did = producer.command_line(task)
    outcome = producer.wait_for(task, SHORT + TIMEOUT_MARGIN)
    if outcome is None:
        expected = "a task of that name, and what came of it"
        raise Wrong(did, expected, producer.why_no_result(task), TASK)
    # Task 5.3 checks that the result can be encoded.
    fine = outcome["status"] == "SUCCESS" or error_of(outcome).startswith("EncodeError")
    require(fine, did, "the task done, with these arguments", error_of(outcome), TASK)
    # The worker does one task at a time, so this one did not begin before the other was done.
    began, done = done_at(producer.echo.outcome or {}), done_at(outcome)
    if began and done and done - began < 0.9 * SHORT:
        got = f"done after {duration(done - began)}"
        if outcome["status"] != "SUCCESS":
            got = f"{got}, with {error_of(outcome)}"
        raise Wrong(did, f"a task that takes the seconds it is given: {SHORT:g}", got, TASK)


@pytest.mark.task("5.3")
def test_the_result_is_json(producer: Producer) -> None:
    task = producer.quick
    did = producer.command_line(task)
    outcome = producer.wait_for(task, TIMEOUT_MARGIN)
    if outcome is None:
        raise Wrong(did, "a result", producer.why_no_result(task), RESULT)
    expected = 'SUCCESS and a dictionary: {"rows": 90, "mean_delay": 24.5}'
    require(outcome["status"] == "SUCCESS", did, expected, error_of(outcome), RESULT)
    result = outcome.get("result")
    found = (result.get("rows"), result.get("mean_delay")) if isinstance(result, dict) else None
    require(found == (90, 24.5), did, expected, f"SUCCESS and {json.dumps(result)}", RESULT)


@pytest.mark.task("5.4")
def test_a_task_that_runs_is_started(producer: Producer) -> None:
    if any("STARTED" in task.states for task in producer.sent):
        return
    (task,) = producer.send((NAME, [LONG, 60]))  # a busy machine may miss a short one
    outcome = producer.wait_for(task, LONG + TIMEOUT_MARGIN)
    did = f"{producer.command_line(task)}\nand asked the result backend, again and again"
    require(outcome, did, "STARTED, then SUCCESS", producer.why_no_result(task), TASK)
    got = " → ".join(task.states)
    require("STARTED" in task.states, did, "PENDING → STARTED → SUCCESS", got, APP)


def done_at(outcome: dict[str, Any]) -> float | None:
    """When a task was done, by the worker's clock; None for a result that cannot be read."""
    told = outcome.get("date_done")
    return datetime.fromisoformat(str(told)).timestamp() if told else None


def error_of(outcome: dict[str, Any]) -> str:
    """The exception of a task that failed, in a line."""
    error = outcome.get("result")
    if not isinstance(error, dict):
        return f"{outcome.get('status')}: {error}"
    message = error.get("exc_message")
    words = " ".join(map(str, message)) if isinstance(message, list) else str(message)
    return f"{error.get('exc_type')}: {words}"
