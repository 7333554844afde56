"""Exercise 05: a Celery app on REDIS_URL, and a task that a producer knows by its name only."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from kit.grading.failure import Wrong, require
from kit.grading.submission import Submission
from kit.grading.values import duration
from kit.processes.child import Child
from kit.workspace import shown

APP = "nb_runner/tasks.py: app"
TASK = "nb_runner/tasks.py: run_notebook() and its decorator"
RESULT = "nb_runner/tasks.py: run_notebook(), what it returns"
NAME = "nb_runner.run_notebook"
ECHO = "celery.accumulate"  # a task that every Celery app has; it returns its arguments
PATIENCE = 15.0  # seconds on top of a task's own
SHORT, LONG = 1.5, 5  # seconds that a task takes


class Producer:
    """Puts tasks into the broker by their names, and looks what the result backend knows of them.

    `seen` are the states of the last task, in the order in which they came; `ever` those of all.
    """

    def __init__(self, submission: Submission, worker: Child) -> None:
        self.worker = worker
        self.redis = submission.redis
        self.seen: list[str] = []
        self.ever: set[str] = set()
        url = submission.redis_url
        self._celery = Celery(broker=url, backend=url, set_as_current=False)
        self._folder = shown(submission.folder)

    def close(self) -> None:
        self._celery.close()
        self.redis.close()

    def line(self, name: str, args: list[Any]) -> str:
        """The call as a line to paste."""
        celery = [".venv/bin/celery", "--workdir", self._folder, "-A", "nb_runner.tasks"]
        call = shlex.join([*celery, "call", name, "--args", json.dumps(args)])
        return f"REDIS_URL=redis://127.0.0.1:PORT/0 {call}   # PORT as `./workshop run 05` tells"

    def run(self, name: str, args: list[Any], timeout: float) -> dict[str, Any] | None:
        """What the backend says of the task once it is over: its `status` and its `result`.

        None: it took too long, or the worker will never do it.
        """
        task_id = self._celery.send_task(name, args=args).id
        self.seen = []
        deadline = time.monotonic() + timeout
        while True:
            late = time.monotonic() > deadline or self.refusal()
            told = self._told(task_id)
            state = str(told.get("status"))
            if state not in self.seen:
                self.seen.append(state)
                self.ever.add(state)
            # Celery fails a task that it does not know; its log says so better than its result.
            if state == "SUCCESS" or (state == "FAILURE" and not self.refusal()):
                return told
            if late or state == "FAILURE":
                return None
            time.sleep(0.02)

    def _told(self, task_id: str) -> dict[str, Any]:
        """What lies in the backend, as it lies there: no client of Celery's in between."""
        try:
            kept = self.redis.get(f"celery-task-meta-{task_id}")
            return dict(json.loads(str(kept))) if kept else {"status": "PENDING"}
        except (ValueError, TypeError):
            unreadable = {"exc_type": "EncodeError", "exc_message": ["it is there, but not JSON"]}
            return {"status": "FAILURE", "result": unreadable}

    def refusal(self) -> str:
        """Why the worker does not do what it was given, as its log tells."""
        log = self.worker.output()
        if found := re.search(r"Received unregistered task of type '([^']*)'", log):
            known = re.findall(r"^ +\. (\S+)$", log, re.MULTILINE)
            own = ", ".join(name for name in known if not name.startswith("celery.")) or "none"
            return (
                f"the worker took the message, and knows no task called {found[1]}; "
                f"of yours it knows: {own}"
            )
        if "Refusing to deserialize" in log:
            return "the worker refuses messages in JSON: its `accept_content` leaves it out"
        return "" if self.worker.running else "the worker has ended"

    def silence(self) -> str:
        """Why there is no result, as far as anybody can see."""
        if why := self.refusal():
            return why
        log = self.worker.output().replace("//:**@", "//")  # Celery's mask of no password
        told = re.findall(r"(?:transport|results):.*", log)
        if self.redis.llen("celery"):
            what = "the worker takes nothing from there"
        elif "disabled://" in log:
            what = "the worker took the task, and has no backend to bring the result to"
        else:
            what = f"no result within {PATIENCE:g} s"
        return "\n".join([f"{what}. Its log says", *told[:2]])


@pytest.fixture(scope="module")
def producer(submission: Submission) -> Iterator[Producer]:
    producer = Producer(submission, submission.worker())
    yield producer
    producer.close()


@pytest.mark.task("5.1")
def test_a_worker_takes_from_the_broker_and_answers_to_the_backend(producer: Producer) -> None:
    told = producer.run(ECHO, ["hello"], PATIENCE)
    if told is None:
        did = f"./workshop run 05\n{producer.line(ECHO, ['hello'])}   # a task that every app has"
        expected = "a worker with its broker and its result backend where REDIS_URL says"
        raise Wrong(did, expected, producer.silence(), APP)


@pytest.mark.task("5.2")
def test_the_task_is_known_by_its_name_and_takes_arguments(producer: Producer) -> None:
    did = producer.line(NAME, [SHORT, 60])
    began = time.monotonic()
    told = producer.run(NAME, [SHORT, 60], SHORT + PATIENCE)
    took = time.monotonic() - began
    if told is None:
        raise Wrong(did, "a task of that name, and what came of it", producer.silence(), TASK)
    # A result that cannot travel is the next task's matter.
    fine = told["status"] == "SUCCESS" or error_of(told).startswith("EncodeError")
    require(fine, did, "the task done, with these arguments", error_of(told), TASK)
    expected = f"a task that takes the seconds it is given: {SHORT:g}"
    require(took > 0.9 * SHORT, did, expected, f"done after {duration(took)}", TASK)


@pytest.mark.task("5.3")
def test_the_result_is_json(producer: Producer) -> None:
    did = producer.line(NAME, [0, 90])
    told = producer.run(NAME, [0, 90], PATIENCE)
    if told is None:
        raise Wrong(did, "a result", producer.silence(), RESULT)
    expected = 'SUCCESS and a dictionary: {"rows": 90, "mean_delay": …}'
    require(told["status"] == "SUCCESS", did, expected, error_of(told), RESULT)
    result = told.get("result")
    whole = isinstance(result, dict) and result.get("rows") == 90 and "mean_delay" in result
    require(whole, did, expected, f"SUCCESS and {json.dumps(result)}", RESULT)


@pytest.mark.task("5.4")
def test_a_task_that_runs_is_started(producer: Producer) -> None:
    if "STARTED" in producer.ever:
        return
    for seconds in (SHORT, LONG):  # a busy machine may miss a short one
        told = producer.run(NAME, [seconds, 60], seconds + PATIENCE)
        if told is None or "STARTED" in producer.seen:
            break
    did = f"{producer.line(NAME, [seconds, 60])}\nand asked the result backend, again and again"
    require(told, did, "STARTED, then SUCCESS", producer.silence(), TASK)
    got = " → ".join(producer.seen)
    require("STARTED" in producer.seen, did, "PENDING → STARTED → SUCCESS", got, APP)


def error_of(told: dict[str, Any]) -> str:
    """The exception of a task that failed, in a line."""
    error = told.get("result")
    if not isinstance(error, dict):
        return f"{told.get('status')}: {error}"
    message = error.get("exc_message")
    words = " ".join(map(str, message)) if isinstance(message, list) else str(message)
    return f"{error.get('exc_type')}: {words}"
