"""What workers tell of their tasks, by Celery's events.

The log is not enough. The child process that performs a task writes "succeeded" and then calls the
receivers of `task_postrun`, and these may send commands to Redis. The event comes from the parent
process, when the child has done with all of that. Source: the events of Celery's monitoring guide.
"""

import base64
import json
from typing import Any, Self

from redis import Redis

CHANNELS = "*celeryev*"  # Celery's exchange for events, with whatever prefix and database
ENDS = frozenset({"task-succeeded", "task-failed", "task-rejected", "task-revoked", "task-retried"})


class TaskEvents:
    """The tasks that have ended since this object was made, in any worker of that Redis."""

    def __init__(self, redis: Redis) -> None:
        self._pubsub = redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._pubsub.psubscribe(CHANNELS)
        self._next()  # the answer to it, so no later event is missed
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription."""
        self._pubsub.close()

    def has_ended(self, task_id: str) -> bool:
        """Whether a worker has told the end of this task, whatever its end was."""
        while self._pubsub.connection.can_read(timeout=0):
            if (message := self._next()) is not None:
                self._ended.update(_ended(message["data"]))
        return task_id in self._ended

    def _next(self) -> dict[str, Any] | None:
        """Wait for a message, and for the whole of it. None: it is the answer to a subscription.

        With a timeout of 0, redis-py would raise TimeoutError where half of a message is there.
        """
        message: dict[str, Any] | None = self._pubsub.get_message(timeout=None)
        return message


def _ended(data: bytes) -> set[str]:
    """The ids of the tasks whose end a message tells. A message may hold several events."""
    body = json.loads(base64.b64decode(json.loads(data)["body"]))
    events: list[dict[str, Any]] = body if isinstance(body, list) else [body]
    return {event["uuid"] for event in events if event["type"] in ENDS}
