"""A real Redis, and real processes that each have a gate before it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from explorer import Actor, Data, Gate
from kit.processes.stack import Stack

PROGRAMS = Path(__file__).with_name("programs.py")


class Program:
    """A process of programs.py behind a gate."""

    def __init__(self, name: str, redis_url: str) -> None:
        self.name = name
        self.gate = Gate(redis_url)
        self.process = self._start()

    def does(self, what: str) -> Actor:
        """The actor that calls the program of this name once."""
        return Actor(self.name, self.gate, lambda: self.call(what), lambda: self.process.pid)

    def call(self, what: str) -> str:
        """Call it, and return what it says."""
        process = self.process
        assert process.stdin and process.stdout
        process.stdin.write(f"{what}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    def revive(self) -> None:
        """Start the process again where it was killed."""
        if self.process.poll() is not None:
            self._close()
            self.process = self._start()

    def close(self) -> None:
        """End it."""
        self.gate.close()
        self.process.kill()
        self.process.wait()
        self._close()

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, PROGRAMS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"REDIS_URL": self.gate.url, "NAME": self.name},
            text=True,
        )
        assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis of our own."""
    with Stack(tmp_path_factory.mktemp("explorer")) as stack:
        yield stack.redis()


@pytest.fixture
def data(redis_url: str) -> Iterator[Data]:
    """Its data, empty at first."""
    with Data(redis_url) as data:
        data.redis.flushdb()
        yield data


@pytest.fixture(scope="module")
def programs(redis_url: str) -> Iterator[list[Program]]:
    """Three processes."""
    with ExitStack() as open_ones:
        yield [
            open_ones.enter_context(closing(Program(name, redis_url)))
            for name in ("Ada", "Bob", "Cleo")
        ]
