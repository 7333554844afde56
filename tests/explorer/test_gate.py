"""The gate: what it holds, what it lets pass, what it cuts."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.retry import Retry

from explorer import Data, Gate

SOON = 5.0  # seconds


@pytest.fixture
def gate(data: Data, redis_url: str) -> Iterator[Gate]:
    with Gate(redis_url) as gate:
        yield gate


@pytest.fixture
def client(gate: Gate) -> Iterator["Redis"]:
    """A client that does not try again."""
    with Redis.from_url(gate.url, decode_responses=True, retry=Retry(NoBackoff(), 0)) as client:
        yield client


@pytest.fixture
def later() -> Iterator[Callable[[Callable[[], object]], threading.Thread]]:
    threads = []

    def start(act: Callable[[], object]) -> threading.Thread:
        threads.append(threading.Thread(target=act, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(SOON)


Later = Callable[[Callable[[], object]], threading.Thread]


def test_open_it_passes_everything_on(client: "Redis") -> None:
    client.set("k", "x" * 300_000)
    assert client.get("k") == "x" * 300_000
    with client.pipeline() as pipe:
        pipe.set("a", 1)
        pipe.get("a")
        pipe.incr("a")
        assert pipe.execute() == [True, "1", 2]
    with client.pipeline(transaction=False) as pipe:
        pipe.get("a")
        pipe.get("b")
        assert pipe.execute() == ["2", None]


def test_it_lets_so_many_commands_pass_and_holds_the_next(
    gate: Gate, client: "Redis", data: Data, later: Later
) -> None:
    gate.hold()
    thread = later(lambda: [client.incr("n") for _ in range(4)])
    gate.let(2)
    assert gate.wait(lambda: len(gate.passed) == 2 and len(gate.held) == 1, SOON)
    # The client may send the next command before the gate has noted the answer to this one.
    assert gate.wait(lambda: all(passed.answered for passed in gate.passed), SOON)
    assert [passed.reply for passed in gate.passed] == [1, 2]
    time.sleep(0.05)
    assert data.redis.get("n") == b"2"
    gate.open()
    thread.join(SOON)
    assert data.redis.get("n") == b"4"


def test_connecting_is_no_step(gate: Gate, client: "Redis") -> None:
    gate.hold()
    assert client.ping()
    assert gate.passed == []


def test_a_transaction_is_one_step(gate: Gate, client: "Redis", data: Data, later: Later) -> None:
    gate.hold()
    with client.pipeline() as pipe:
        pipe.set("a", 1)
        pipe.set("b", 2)
        later(pipe.execute)
        assert gate.wait(lambda: bool(gate.held), SOON)
        assert data.redis.dbsize() == 0
        passed = gate.step(SOON)
        assert passed is not None and passed.reply == ["OK", "OK"]
        assert [part.words for part in passed.command.parts] == [
            ("SET", "a", "1"),
            ("SET", "b", "2"),
        ]
        assert data.redis.dbsize() == 2


def test_a_command_whose_connection_is_cut_has_reached_redis(
    gate: Gate, client: "Redis", data: Data, later: Later
) -> None:
    gate.hold()
    errors = []

    def act() -> None:
        try:
            client.set("k", "v")
        except Disconnected as error:
            errors.append(error)

    thread = later(act)
    passed = gate.step(SOON, cut=True)
    thread.join(SOON)
    assert errors and passed is not None and passed.cut
    assert data.redis.get("k") == b"v"


def test_what_is_held_when_the_connections_are_dropped_never_arrives(
    gate: Gate, client: "Redis", data: Data, later: Later
) -> None:
    gate.hold()

    def act() -> None:
        with pytest.raises(Disconnected):
            client.set("k", "v")

    thread = later(act)
    assert gate.wait(lambda: bool(gate.held), SOON)
    gate.drop()
    gate.open()
    thread.join(SOON)
    assert gate.wait(lambda: not gate.held, SOON)
    assert not data.redis.exists("k")


def test_a_step_without_a_command_lets_none_pass_later(
    gate: Gate, client: "Redis", later: Later
) -> None:
    gate.hold()
    assert gate.step(0.01) is None
    later(lambda: client.set("k", "v"))
    assert gate.wait(lambda: bool(gate.held), SOON)
    assert gate.passed == []
    gate.open()


def test_publish_and_subscribe_pass_while_it_holds(gate: Gate, client: "Redis") -> None:
    with client.pubsub() as news:  # type: ignore[no-untyped-call]
        news.subscribe("channel")
        gate.hold()
        client.publish("channel", "hello")
        heard = [news.get_message(timeout=SOON) for _ in range(2)]
    assert [message and message["data"] for message in heard] == [1, "hello"]


def test_it_needs_a_redis_it_can_talk_to(redis_url: str) -> None:
    with pytest.raises(ValueError, match="redis://"):
        Gate("rediss://127.0.0.1:6379/0")
