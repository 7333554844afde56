"""The events of Celery's workers, as graders get them."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from kit.grading.runner.task_events import TaskEvents
from kit.grading.waiting import eventually
from kit.processes.stack import Stack

PIECE = 20  # bytes


@contextmanager
def in_pieces(port: int) -> Iterator[int]:
    """The port of a proxy before a Redis. What Redis sends arrives in pieces, with pauses."""

    def pass_on(source: socket.socket, target: socket.socket, piece: int) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                for begin in range(0, len(data), piece):
                    target.sendall(data[begin : begin + piece])
                    time.sleep(0.01 if piece == PIECE else 0)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, server, 1 << 16), (server, client, PIECE)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.slow
def test_half_of_a_message_is_waited_for(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.redis()
        assert stack.redis_server is not None
        port = stack.redis_server.port
        with (
            in_pieces(port) as slow,
            closing(Redis(port=slow)) as redis,
            TaskEvents(redis) as events,
            closing(Redis(port=port)) as worker,
        ):
            for number in range(5):
                event = {"type": "task-succeeded", "uuid": f"run-{number}"}
                body = base64.b64encode(json.dumps(event).encode()).decode()
                worker.publish("/0.celeryev/task.succeeded", json.dumps({"body": body}))
            assert eventually(lambda: events.has_ended("run-4"))
            assert events.has_ended("run-0")
            assert not events.has_ended("run-5")
