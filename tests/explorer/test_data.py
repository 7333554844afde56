"""Time that passes for the data only."""

from explorer import Data


def test_shorten_brings_the_end_of_each_key_nearer_and_never_puts_it_off(data: Data) -> None:
    data.redis.set("an hour", "", ex=3600)
    data.redis.set("half a minute", "", px=30_000)
    data.redis.set("for ever", "")
    data.shorten(60)
    assert 50_000 < data.redis.pttl("an hour") <= 60_000
    assert 0 < data.redis.pttl("half a minute") <= 30_000
    assert data.redis.pttl("for ever") == -1
