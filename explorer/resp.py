"""The protocol of Redis, read piece by piece as the bytes arrive (RESP2, and replies of RESP3)."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

Value = None | bool | int | float | str | bytes | list["Value"]

END = b"\r\n"


class ErrorReply(str):
    """A reply that says what went wrong, as `WRONGTYPE …`."""


class ProtocolError(ValueError):
    """These bytes are not Redis's protocol."""


class _Incomplete(Exception):
    """The rest has not arrived yet."""


@dataclass(frozen=True)
class Request:
    """One command with its arguments, and the bytes it came in."""

    words: tuple[bytes, ...]
    raw: bytes


@dataclass(frozen=True)
class Reply:
    """One reply, and the bytes it came in. `push`: it answers no request."""

    value: Value
    raw: bytes
    push: bool = False


class _Buffer:
    """Bytes that have arrived and are not read yet."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.at = 0

    def line(self) -> bytes:
        end = self.data.find(END, self.at)
        if end < 0:
            raise _Incomplete
        line = bytes(self.data[self.at : end])
        self.at = end + len(END)
        return line

    def block(self, size: int) -> bytes:
        end = self.at + size
        if len(self.data) < end + len(END):
            raise _Incomplete
        block = bytes(self.data[self.at : end])
        self.at = end + len(END)
        return block

    def take(self) -> bytes:
        """Forget what has been read, and return it."""
        raw = bytes(self.data[: self.at])
        del self.data[: self.at]
        self.at = 0
        return raw


class Requests:
    """Cuts what a client sends into requests."""

    def __init__(self) -> None:
        self._buffer = _Buffer()

    def feed(self, data: bytes) -> Iterator[Request]:
        """The requests that are complete with these bytes."""
        self._buffer.data += data
        while self._buffer.data:
            try:
                words = self._words()
            except _Incomplete:
                self._buffer.at = 0
                return
            yield Request(words, self._buffer.take())

    def rest(self) -> bytes:
        """Bytes of a request that is not complete, which are forgotten here."""
        self._buffer.at = len(self._buffer.data)
        return self._buffer.take()

    def _words(self) -> tuple[bytes, ...]:
        line = self._buffer.line()
        if not line.startswith(b"*"):
            return _inline(line)
        words = []
        for _ in range(_number(line)):
            head = self._buffer.line()
            if not head.startswith(b"$"):
                raise ProtocolError(f"a word of a request begins {head[:20]!r}")
            words.append(self._buffer.block(_number(head)))
        return tuple(words)


class Replies:
    """Cuts what Redis sends into replies."""

    def __init__(self) -> None:
        self._buffer = _Buffer()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that are complete with these bytes."""
        self._buffer.data += data
        while self._buffer.data:
            push = self._buffer.data.startswith(b">")
            try:
                value = self._value()
            except _Incomplete:
                self._buffer.at = 0
                return
            yield Reply(value, self._buffer.take(), push)

    def rest(self) -> bytes:
        """Bytes of a reply that is not complete, which are forgotten here."""
        self._buffer.at = len(self._buffer.data)
        return self._buffer.take()

    def _value(self) -> Value:
        line = self._buffer.line()
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+" | b"(":  # a big number is shown and not reckoned with, so text will do
                return rest.decode(errors="backslashreplace")
            case b"-":
                return ErrorReply(rest.decode(errors="backslashreplace"))
            case b":":
                return _number(line)
            case b"," if rest:
                return float(rest)
            case b"#":
                return rest == b"t"
            case b"_":
                return None
            case b"$" | b"=" | b"!" | b"*" | b"~" | b">" | b"%" | b"|":
                return self._sized(kind, _number(line))
        raise ProtocolError(f"a reply begins {line[:20]!r}")

    def _sized(self, kind: bytes, size: int) -> Value:
        if size < 0:
            return None
        match kind:
            case b"$":
                return self._buffer.block(size)
            case b"=":
                return self._buffer.block(size)[4:]  # without "txt:"
            case b"!":
                return ErrorReply(self._buffer.block(size).decode(errors="backslashreplace"))
            case b"%":
                return [self._value() for _ in range(2 * size)]
            case b"|":  # remarks about the reply, which follows
                for _ in range(2 * size):
                    self._value()
                return self._value()
        return [self._value() for _ in range(size)]


def _number(line: bytes) -> int:
    try:
        return int(line[1:])
    except ValueError:
        raise ProtocolError(f"no number: {line[:20]!r}") from None


def _inline(line: bytes) -> tuple[bytes, ...]:
    try:
        return tuple(word.encode() for word in shlex.split(line.decode()))
    except ValueError:
        raise ProtocolError(f"no command: {line[:20]!r}") from None
