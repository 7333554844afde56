"""Requests and replies are cut out of the bytes, however these arrive."""

import pytest

from explorer.resp import ErrorReply, ProtocolError, Replies, Reply, Request, Requests, Value

PIPELINE = (
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n"
    b"PING hello\r\n"
    b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nEXEC\r\n"
)
WORDS = [(b"SET", b"k", b"a\r\nb"), (b"PING", b"hello"), (b"MULTI",), (b"GET", b""), (b"EXEC",)]
REPLIES: list[tuple[bytes, Value]] = [
    (b"+OK\r\n", "OK"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"_\r\n", None),
    (b"$5\r\na\r\nbc\r\n", b"a\r\nbc"),
    (b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", [1, [b"x"]]),
    (b"%1\r\n+role\r\n+master\r\n", ["role", "master"]),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b"#t\r\n", True),
    (b",1.5\r\n", 1.5),
    (b"(123456789012345678901234567890\r\n", "123456789012345678901234567890"),
    (b"=6\r\ntxt:hi\r\n", b"hi"),
    (b"|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n", b"v"),
    (b"-ERR no\r\n", ErrorReply("ERR no")),
    (b"!6\r\nERR no\r\n", ErrorReply("ERR no")),
]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_requests_are_found_in_pieces_of_any_size(size: int) -> None:
    parser, found = Requests(), list[Request]()
    for at in range(0, len(PIPELINE), size):
        found += parser.feed(PIPELINE[at : at + size])
    assert [request.words for request in found] == WORDS
    assert b"".join(request.raw for request in found) == PIPELINE


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_replies_of_all_kinds_are_found(size: int) -> None:
    sent = b"".join(raw for raw, _ in REPLIES)
    parser, found = Replies(), list[Reply]()
    for at in range(0, len(sent), size):
        found += parser.feed(sent[at : at + size])
    assert [reply.value for reply in found] == [value for _, value in REPLIES]
    assert [reply.raw for reply in found] == [raw for raw, _ in REPLIES]
    errors = [reply.value for reply in found if isinstance(reply.value, ErrorReply)]
    assert errors == ["ERR no", "ERR no"]


def test_what_redis_pushes_answers_nothing() -> None:
    replies = Replies().feed(b">2\r\n+message\r\n+x\r\n+OK\r\n")
    assert [reply.push for reply in replies] == [True, False]


def test_a_request_that_is_not_complete_is_kept_and_can_be_taken_out() -> None:
    parser = Requests()
    assert list(parser.feed(b"*1\r\n$4\r\nPI")) == []
    assert parser.rest() == b"*1\r\n$4\r\nPI"
    assert [request.words for request in parser.feed(b"PING\r\n")] == [(b"PING",)]


@pytest.mark.parametrize("sent", [b"*x\r\n", b"*1\r\n+OK\r\n", b"GET 'open\r\n"])
def test_other_bytes_are_refused(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Requests().feed(sent))
    with pytest.raises(ProtocolError):
        list(Replies().feed(b"?" + sent))
