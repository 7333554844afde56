"""What is known about a command."""

import pytest

from explorer.commands import Command, is_step, shape
from explorer.trace import Step


def command(text: str) -> Command:
    return Command(tuple(text.split()))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("SET k v NX", ("k",)),
        ("DEL a b", ("a", "b")),
        ("MSET a 1 b 2", ("a", "b")),
        ("EVALSHA abc 2 a b v", ("a", "b")),
        ("EVAL script 0", None),
        ("BLPOP a b 0", ("a", "b")),
        ("XREAD COUNT 1 STREAMS a b 0 0", ("a", "b")),
        ("RENAME a b", ("a", "b")),
        ("KEYS *", None),
        ("PING", ()),
    ],
)
def test_its_keys(text: str, keys: tuple[str, ...] | None) -> None:
    assert command(text).keys == keys


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("nb:run:20261126-033347-8e4f1a", "nb:run:*-*-*"),
        ("nb:cancel:1d8a0b1234567890", "nb:cancel:*"),
        ("nb:lease", "nb:lease"),
        ("facade", "facade"),
    ],
)
def test_ids_in_names_of_keys_count_as_equal(key: str, expected: str) -> None:
    assert shape(key) == expected


def test_a_transaction_is_about_the_keys_of_all_its_parts() -> None:
    parts = (command("SET a 1"), command("GET b"))
    assert Command(("EXEC",), parts).keys == ("a", "b")
    assert Command(("EXEC",), (*parts, command("FLUSHDB"))).keys is None


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("GET k", True),
        ("BRPOP jobs 1", True),
        ("LPUSH celery message", True),
        ("SET celery-task-meta-1 done", True),
        ("HELLO 3", False),
        ("client setinfo LIB-NAME redis-py", False),
        ("SELECT 1", False),
        ("PUBLISH /0.celeryev/worker.heartbeat x", False),
        ("SADD _kombu.binding.celery x", False),
        ("BRPOP celery celery\x06\x163 1", False),
        ("ZREVRANGEBYSCORE unacked_index 1 0", False),
        ("LPUSH nb:celery message", True),
        ("SADD nb:_kombu.binding.celery x", False),
        ("HSET nb:unacked tag message", False),
        ("SCRIPT LOAD x", False),
    ],
)
def test_what_counts_as_a_step(text: str, steps: bool) -> None:
    assert is_step(command(text)) is steps


def test_a_transaction_counts_if_one_of_its_parts_does() -> None:
    books = command("HSET unacked tag message")
    assert not is_step(Command(("EXEC",), (books,)))
    assert is_step(Command(("EXEC",), (books, command("SET k v"))))


def test_what_takes_looks_reads_and_blocks() -> None:
    assert [command(c).takes for c in ("SET k v PX 5 NX", "SETNX k v", "SET k NX")] == [
        True,
        True,
        False,
    ]
    assert [command(c).looks for c in ("SET k v NX", "SET k v", "LPUSH k v", "GET k")] == [
        True,
        False,
        False,
        True,
    ]
    assert [command(c).reads_only for c in ("GET k", "get k", "GETDEL k")] == [True, True, False]
    assert [
        command(c).blocks for c in ("BLPOP k 0", "XREAD BLOCK 0 STREAMS k 0", "XREAD STREAMS k 0")
    ] == [True, True, False]


def test_a_key_that_was_not_free_was_not_taken_whatever_others_change_meanwhile() -> None:
    taking = command("SET lock 1 NX")
    assert not Step("API 1", taking, None, changed=True).wrote
    assert Step("API 1", taking, "OK", changed=True).wrote
    assert Step("API 1", taking, None, changed=True, answered=False).wrote
