"""What a command of Redis is about: its keys, whether it looks or writes, whether it may wait."""

import re
from dataclasses import dataclass


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


# What a client says about itself and its connection, and news that go to all. None is a step.
PASSING = _names(
    "HELLO AUTH CLIENT SELECT PING ECHO QUIT RESET INFO COMMAND CONFIG SCRIPT ROLE READONLY "
    "READWRITE MONITOR TIME UNWATCH MULTI DISCARD PUBLISH SPUBLISH PUBSUB "
    "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE"
)
# After one of these, Redis sends messages without a request on this connection.
STREAMING = _names("SUBSCRIBE PSUBSCRIBE SSUBSCRIBE MONITOR")
# Celery's transport keeps its books under these names, after a prefix if it has got one. The queue
# itself is not among them.
BOOKS = re.compile(r"(?:.*:)?(?:_kombu\.|unacked)")
PRIORITY = "\x06\x16"  # stands in the names of the queues that a Celery worker asks in turn

BLOCKING = _names("BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF")
READS = _names(
    "GET MGET GETRANGE STRLEN EXISTS TYPE TTL PTTL EXPIRETIME PEXPIRETIME DUMP KEYS SCAN DBSIZE "
    "LINDEX LRANGE LLEN LPOS HGET HMGET HGETALL HEXISTS HKEYS HVALS HLEN HSCAN HSTRLEN "
    "SMEMBERS SISMEMBER SMISMEMBER SCARD SSCAN SINTER SUNION SDIFF SRANDMEMBER "
    "ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZRANGEBYLEX ZSCORE ZMSCORE ZCARD ZCOUNT "
    "ZRANK ZREVRANK ZSCAN XRANGE XREVRANGE XLEN XREAD XINFO XPENDING BITCOUNT GETBIT "
    "EVAL_RO EVALSHA_RO FCALL_RO WATCH OBJECT RANDOMKEY"
)
# These write whatever is there, so their sender learns nothing by which it could decide.
BLIND = _names(
    "MSET HSET HMSET HDEL LPUSH RPUSH LREM LTRIM LSET SADD SREM ZADD ZREM DEL UNLINK EXPIRE "
    "PEXPIRE EXPIREAT PEXPIREAT PERSIST SETEX PSETEX APPEND XADD XACK FLUSHDB FLUSHALL"
)
DELETES = _names("DEL UNLINK GETDEL EVAL EVALSHA EXEC")
ALL_WORDS = _names("DEL UNLINK EXISTS TOUCH MGET WATCH SINTER SUNION SDIFF PFCOUNT PFMERGE")
TWO_WORDS = _names("RENAME RENAMENX RPOPLPUSH LMOVE COPY SMOVE BRPOPLPUSH BLMOVE")
SCRIPTS = _names("EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO")
ANY_KEY = _names("KEYS SCAN DBSIZE RANDOMKEY FLUSHDB FLUSHALL SWAPDB SORT SORT_RO")
# Programs name keys after ids that are made anew in each schedule.
ID = re.compile(r"(?=[a-f]*\d)[0-9a-f]{6,}|[0-9a-f]{8,}|\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Command:
    """A command as a program sent it. `parts`: what a transaction consists of."""

    words: tuple[str, ...]
    parts: tuple["Command", ...] = ()

    @classmethod
    def of(cls, words: tuple[bytes, ...], parts: tuple["Command", ...] = ()) -> "Command":
        """From the bytes of a request."""
        return cls(tuple(word.decode(errors="backslashreplace") for word in words), parts)

    @property
    def name(self) -> str:
        """Its name, in capitals."""
        return self.words[0].upper() if self.words else ""

    @property
    def options(self) -> frozenset[str]:
        """The words behind key and value, in capitals: NX, PX, BLOCK."""
        return frozenset(word.upper() for word in self.words[3:])

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys it is about. None: this cannot be told, so it may be about any."""
        if self.parts:
            known = [part.keys for part in self.parts]
            return None if None in known else tuple(key for keys in known for key in keys or ())
        words, name = self.words, self.name
        if name in ANY_KEY:
            return None
        if name in SCRIPTS:
            count = int(words[2]) if len(words) > 2 and words[2].isdigit() else 0
            return words[3 : 3 + count] or None
        if name in ALL_WORDS:
            return words[1:]
        if name in TWO_WORDS:
            return words[1:3]
        if name in ("MSET", "MSETNX"):
            return words[1::2]
        if name in ("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"):
            return words[1:-1]
        if name in ("XREAD", "XREADGROUP"):
            return _streams(words)
        return words[1:2]

    @property
    def blocks(self) -> bool:
        """Whether Redis may leave it without an answer for a while."""
        return self.name in BLOCKING or (
            self.name in ("XREAD", "XREADGROUP") and "BLOCK" in (w.upper() for w in self.words)
        )

    @property
    def reads_only(self) -> bool:
        """Whether it never changes anything."""
        if self.parts:
            return all(part.reads_only for part in self.parts)
        return self.name in READS

    @property
    def looks(self) -> bool:
        """Whether its sender learns by its answer what is there."""
        if self.parts:
            return any(part.looks for part in self.parts)
        if self.name == "SET":
            return bool(self.options & {"NX", "XX", "GET"})
        return self.name not in BLIND

    @property
    def takes(self) -> bool:
        """Whether it writes a key only where there is none, as one does to take a lock."""
        return self.name == "SETNX" or (self.name == "SET" and "NX" in self.options)

    @property
    def deletes(self) -> bool:
        """Whether it may remove a key."""
        return self.name in DELETES


def shape(key: str) -> str:
    """The name of a key without what is made anew in each schedule."""
    return ID.sub("*", key)


def is_step(command: Command) -> bool:
    """Whether an explorer counts it: what programs do with data, and not how they are connected.

    What passes: the set-up of connections, publish and subscribe, the books of Celery's transport
    and the questions of a Celery worker for work. A transaction is one step, at its EXEC.
    """
    if command.parts:
        return any(is_step(part) for part in command.parts)
    if command.name in PASSING or command.name == "EXEC":
        return False
    return not any(
        BOOKS.match(word) or PRIORITY in word for word in (command.keys or command.words[1:2])
    )


def _streams(words: tuple[str, ...]) -> tuple[str, ...] | None:
    names = [word.upper() for word in words]
    if "STREAMS" not in names:
        return None
    rest = words[names.index("STREAMS") + 1 :]
    return rest[: len(rest) // 2]
