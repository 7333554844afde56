"""Tiny programs that share a Redis, right and wrong ones. Each call of one is one operation.

A process of them stays alive: it reads the name of a program, and answers with what it returned.
"""

import itertools
import os
import sys
import time
import uuid

from redis import Redis

redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
NAME = os.environ["NAME"]
CALLS = itertools.count(1)
ME = uuid.uuid4().hex
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


def look_then_write() -> str:
    if redis.get("current"):
        return "refused"
    redis.set("current", ME)
    return "started"


def set_nx() -> str:
    return "started" if redis.set("current", ME, nx=True) else "refused"


def lock_around_both() -> str:
    with redis.lock("lock", timeout=10, blocking_timeout=60, sleep=0.02):
        return look_then_write()


def lock_around_the_look() -> str:
    with redis.lock("lock", timeout=10, blocking_timeout=60, sleep=0.02):
        busy = redis.get("current")
    if busy:
        return "refused"
    redis.set("current", ME)
    return "started"


def deletes_whoever_holds_it() -> str:
    try:
        if not redis.set("lock", ME, nx=True, ex=10):
            return "refused"
        return look_then_write()
    finally:
        redis.delete("lock")


def deletes_its_own() -> str:
    if not redis.set("lock", ME, nx=True, ex=10):
        return "refused"
    try:
        return look_then_write()
    finally:
        redis.eval(RELEASE, 1, "lock", ME)


def expires_in_a_second_command() -> str:
    while not redis.setnx("lock", ME):
        time.sleep(0.02)
    redis.expire("lock", 10)
    try:
        return look_then_write()
    finally:
        redis.delete("lock")


def transaction() -> str:
    with redis.pipeline() as pipe:
        pipe.watch("current")  # type: ignore[no-untyped-call]
        if pipe.get("current"):
            return "refused"
        pipe.multi()
        pipe.set("current", ME)
        return "started" if pipe.execute(raise_on_error=False) else "refused"


def waits_for_a_word() -> str:
    return str(redis.blpop(["word"], timeout=60))


def says_a_word() -> str:
    redis.rpush("word", "hello")
    return "said"


def takes_and_keeps() -> str:
    while not redis.set("lock", ME, nx=True):
        time.sleep(0.02)
    return "started"


def looks_twice() -> str:
    if redis.get("current") or redis.get("current"):
        return "refused"
    redis.set("current", ME)
    return "started"


def writes_its_own_keys() -> str:
    for n in range(5):
        redis.set(f"key of {NAME}", n)
    return "written"


def works_for_long() -> str:
    busy = redis.get("current")
    time.sleep(0.3)
    return "refused" if busy else set_nx()


def releases_in_two_commands() -> str:
    if not redis.set("lock", ME, nx=True, ex=10):
        return "refused"
    if redis.get("lock") == ME:
        redis.delete("lock")
    return "released"


def releases_in_one_step() -> str:
    if not redis.set("lock", ME, nx=True, ex=10):
        return "refused"
    redis.eval(RELEASE, 1, "lock", ME)
    return "released"


def goes_through_stages() -> str:
    redis.set("seen", "no")
    for stage in (1, 2, 3):
        redis.set("stage", stage)
    return "done"


def asks_for_the_stage() -> str:
    return f"stage {redis.get('stage')!r}"


def says_that_it_has_seen() -> str:
    return "said" if redis.set("seen", "yes", xx=True) else "nothing was begun"


def asks_for_both() -> str:
    return " ".join(map(str, redis.mget("seen", "stage")))


def beats_now_and_then() -> str:
    beat = next(CALLS) % 2
    if beat:
        redis.get("beat")
    for stage in (1, 2, 3):
        redis.set("stage", stage)
    return "done"


if __name__ == "__main__":
    redis.ping()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            print(globals()[line.strip()](), flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
