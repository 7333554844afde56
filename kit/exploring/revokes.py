"""The revokes that a cancel publishes: has the worker heard of one, and has it done with it?

Celery publishes a revoke for all workers, and waits for none of them. A worker's log says when it
begins to kill a run, and not when it has written down that it did. So the worker is asked for
something else after it: a worker does what is published in the order in which it comes. The
question is the one that Celery's workers ask each other when they start ("mingle"). Asked so, it
changes nothing, and the log tells by whom it was asked.
"""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from redis import Redis

from kit.grading.gated.worker import GatedWorker
from kit.processes.child import NotReady, wait_until

CHANNELS = "*celery.pidbox*"  # on which Celery publishes for all workers, with whatever prefix
HEARD_TIMEOUT = 10.0  # seconds in which a worker hears of a revoke


class Revokes:
    """The revokes that are published for `worker`, from now on."""

    def __init__(self, worker: GatedWorker, redis: Redis) -> None:
        self._worker, self._redis = worker, redis
        self._newest: dict[str, Any] | None = None
        self._asked: set[str] = set()  # the runs after whose kill the worker was asked
        self._pubsub = redis.pubsub()  # type: ignore[no-untyped-call]
        self._pubsub.psubscribe(CHANNELS)
        self._pubsub.get_message(timeout=None)  # the answer to it, so no later message is missed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pubsub.close()

    def heard(self, cancel: Callable[[], object]) -> object:
        """Call `cancel`. If it publishes something, wait until the worker has heard of it.

        On a busy machine, a run that is let go on at once would be over before that.
        """
        held = len(self._worker.gate.held)
        self._published()  # what we asked before, too
        answer = cancel()
        if self._published():
            with suppress(NotReady):
                wait_until(
                    # One command more is held: some versions of Celery first ask for the status.
                    lambda: self._worker.kills_run or len(self._worker.gate.held) > held,
                    "the worker to hear of a cancel",
                    HEARD_TIMEOUT,
                    self._worker.child,
                )
        return answer

    def is_over(self) -> bool:
        """Whether the worker sends no more commands for its newest run, a killed one too."""
        run_id = self._worker.run_id
        if not self._worker.has_done_with(run_id):
            return False
        if not self._worker.kills_run:
            return True
        if run_id not in self._asked and self._newest is not None:
            self._ask(self._newest, run_id)
        return f"sync with {run_id}" in self._worker.child.output()

    def _published(self) -> bool:
        """Whether something new has been published: the answer to a ping comes after it."""
        published = False
        self._pubsub.ping()
        while (message := self._pubsub.get_message(timeout=None))["type"] != "pong":
            self._newest, published = message, True
        return published

    def _ask(self, revoke: dict[str, Any], name: str) -> None:
        """Publish a question where the revoke was published. The log tells the name."""
        body = json.dumps({"method": "hello", "arguments": {"from_node": name}})
        message = json.loads(revoke["data"]) | {
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "body": base64.b64encode(body.encode()).decode(),
        }
        self._redis.publish(revoke["channel"], json.dumps(message))
        self._asked.add(name)
