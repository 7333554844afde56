"""Exercise 05: a Celery app on REDIS_URL, and a task that a producer calls by its name."""

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
TIMEOUT_MARGIN = 15.0  # seconds in addition to the task's own
SHORT, LONG = 1.5, 5  # seconds that a task takes


class Producer:
    """Sends tasks to the broker by their names, and reads their states in the result backend.

    `states` are the states of the last task, in order; `all_states` are those of all tasks.
    """

    def __init__(self, submission: Submission, worker: Child) -> None:
        self.worker = worker
        self.redis = submission.redis
        self.states: list[str] = []
        self.all_states: set[str] = set()
        url = submission.redis_url
        self._celery = Celery(broker=url, backend=url, set_as_current=False)
        self._folder = shown(submission.folder)

    def close(self) -> None:
        self._celery.close()
        self.redis.close()

    def command_line(self, name: str, args: list[Any]) -> str:
        """The call as a line to paste."""
        celery = [".venv/bin/celery", "--workdir", self._folder, "-A", "nb_runner.tasks"]
        call = shlex.join([*celery, "call", name, "--args", json.dumps(args)])
        return f"REDIS_URL=redis://127.0.0.1:PORT/0 {call}   # PORT as `./workshop run 05` tells"

    def run(self, name: str, args: list[Any], timeout: float) -> dict[str, Any] | None:
        """Run a task. Returns what the backend has of it at its end: its `status` and its `result`.

        None: it took too long, or the worker refuses it.
        """
        task_id = self._celery.send_task(name, args=args).id
        self.states = []
        deadline = time.monotonic() + timeout
        while True:
            late = time.monotonic() > deadline or self.why_refused()
            outcome = self._stored_outcome(task_id)
            state = str(outcome.get("status"))
            if state not in self.states:
                self.states.append(state)
                self.all_states.add(state)
            # Celery fails an unknown task. The worker's log explains that better than the result.
            if state == "SUCCESS" or (state == "FAILURE" and not self.why_refused()):
                return outcome
            if late or state == "FAILURE":
                return None
            time.sleep(0.02)

    def _stored_outcome(self, task_id: str) -> dict[str, Any]:
        """What the backend has of a task, read from Redis without Celery's client."""
        try:
            kept = self.redis.get(f"celery-task-meta-{task_id}")
            return dict(json.loads(str(kept))) if kept else {"status": "PENDING"}
        except (ValueError, TypeError):
            unreadable = {"exc_type": "EncodeError", "exc_message": ["it is there, but not JSON"]}
            return {"status": "FAILURE", "result": unreadable}

    def why_refused(self) -> str:
        """Why the worker does not execute a task, from its log; empty if it does."""
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

    def why_no_result(self) -> str:
        """Why there is no result, from the worker's log and the queue."""
        if why := self.why_refused():
            return why
        log = self.worker.output().replace("//:**@", "//")  # Celery's mask of no password
        urls = re.findall(r"(?:transport|results):.*", log)
        if self.redis.llen("celery"):
            what = "the worker takes nothing from there"
        elif "disabled://" in log:
            what = "the worker took the task, and has no backend to bring the result to"
        else:
            what = f"no result within {TIMEOUT_MARGIN:g} s"
        return "\n".join([f"{what}. Its log says", *urls[:2]])


@pytest.fixture(scope="module")
def producer(submission: Submission) -> Iterator[Producer]:
    producer = Producer(submission, submission.worker())
    yield producer
    producer.close()


@pytest.mark.task("5.1")
def test_a_worker_takes_from_the_broker_and_answers_to_the_backend(producer: Producer) -> None:
    outcome = producer.run(ECHO, ["hello"], TIMEOUT_MARGIN)
    if outcome is None:
        call = producer.command_line(ECHO, ["hello"])
        did = f"./workshop run 05\n{call}   # a task that every app has"
        expected = "a worker with its broker and its result backend where REDIS_URL says"
        raise Wrong(did, expected, producer.why_no_result(), APP)


@pytest.mark.task("5.2")
def test_the_task_is_known_by_its_name_and_takes_arguments(producer: Producer) -> None:
    did = producer.command_line(NAME, [SHORT, 60])
    began = time.monotonic()
    outcome = producer.run(NAME, [SHORT, 60], SHORT + TIMEOUT_MARGIN)
    took = time.monotonic() - began
    if outcome is None:
        raise Wrong(did, "a task of that name, and what came of it", producer.why_no_result(), TASK)
    # Task 5.3 checks that the result can be encoded.
    fine = outcome["status"] == "SUCCESS" or error_of(outcome).startswith("EncodeError")
    require(fine, did, "the task done, with these arguments", error_of(outcome), TASK)
    expected = f"a task that takes the seconds it is given: {SHORT:g}"
    require(took > 0.9 * SHORT, did, expected, f"done after {duration(took)}", TASK)


@pytest.mark.task("5.3")
def test_the_result_is_json(producer: Producer) -> None:
    did = producer.command_line(NAME, [0, 90])
    outcome = producer.run(NAME, [0, 90], TIMEOUT_MARGIN)
    if outcome is None:
        raise Wrong(did, "a result", producer.why_no_result(), RESULT)
    expected = 'SUCCESS and a dictionary: {"rows": 90, "mean_delay": …}'
    require(outcome["status"] == "SUCCESS", did, expected, error_of(outcome), RESULT)
    result = outcome.get("result")
    complete = isinstance(result, dict) and result.get("rows") == 90 and "mean_delay" in result
    require(complete, did, expected, f"SUCCESS and {json.dumps(result)}", RESULT)


@pytest.mark.task("5.4")
def test_a_task_that_runs_is_started(producer: Producer) -> None:
    if "STARTED" in producer.all_states:
        return
    for seconds in (SHORT, LONG):  # a busy machine may miss a short one
        outcome = producer.run(NAME, [seconds, 60], seconds + TIMEOUT_MARGIN)
        if outcome is None or "STARTED" in producer.states:
            break
    call = producer.command_line(NAME, [seconds, 60])
    did = f"{call}\nand asked the result backend, again and again"
    require(outcome, did, "STARTED, then SUCCESS", producer.why_no_result(), TASK)
    got = " → ".join(producer.states)
    require("STARTED" in producer.states, did, "PENDING → STARTED → SUCCESS", got, APP)


def error_of(outcome: dict[str, Any]) -> str:
    """The exception of a task that failed, in a line."""
    error = outcome.get("result")
    if not isinstance(error, dict):
        return f"{outcome.get('status')}: {error}"
    message = error.get("exc_message")
    words = " ".join(map(str, message)) if isinstance(message, list) else str(message)
    return f"{error.get('exc_type')}: {words}"
