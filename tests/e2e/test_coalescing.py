"""Request coalescing in the API: who shares a request. No answer is older than its call."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest

from kit.course import catalogue

pytestmark = pytest.mark.slow  # as all that is about the product: `make check` leaves it out

Ask = Callable[[], Awaitable[int]]


def coalescing(ask: Callable[[int], Awaitable[int]]) -> Ask:
    """The product's own decorator."""
    file = catalogue.product().solution / "nb_runner" / "api" / "coalescing.py"
    spec = spec_from_file_location("coalescing", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    decorated: Ask = module.Coalescing(ask)
    return decorated


async def come(ask: Ask, count: int) -> list[asyncio.Task[int]]:
    """So many callers, each of them waiting."""
    callers = [asyncio.ensure_future(ask()) for _ in range(count)]
    for _ in range(5):  # turns of the event loop
        await asyncio.sleep(0)
    return callers


def test_those_who_come_while_a_request_is_under_way_share_the_next_one() -> None:
    counts: list[int] = []

    async def play() -> None:
        answered = asyncio.Event()

        async def request(callers: int) -> int:
            counts.append(callers)
            number = len(counts)
            await answered.wait()
            return number

        ask = coalescing(request)
        first, later = await come(ask, 3), await come(ask, 5)
        assert counts == [3]
        answered.set()
        assert await asyncio.gather(*first) == [1, 1, 1]
        assert await asyncio.gather(*later) == [2, 2, 2, 2, 2]

    asyncio.run(play())
    assert counts == [3, 5]


def test_a_request_that_takes_long_holds_up_nobody_else() -> None:
    async def play() -> int:
        silent = asyncio.Event()

        async def request(callers: int) -> int:
            if callers == 1:
                await silent.wait()
            return callers

        ask = coalescing(request)
        [hangs], later = await come(ask, 1), await come(ask, 2)
        answers = await asyncio.wait_for(asyncio.gather(*later), 20)
        assert not hangs.done()
        silent.set()
        assert await hangs == 1
        return sum(answers)

    assert asyncio.run(play()) == 4


def test_a_request_that_fails_fails_its_own_callers_only() -> None:
    async def play() -> list[Any]:
        failures = iter([ConnectionError("gone")])

        async def request(callers: int) -> int:
            await asyncio.sleep(0.01)
            for failure in failures:
                raise failure
            return callers

        ask = coalescing(request)
        callers = [*await come(ask, 2), *await come(ask, 1)]
        return await asyncio.gather(*callers, return_exceptions=True)

    first, second, later = asyncio.run(play())
    assert isinstance(first, ConnectionError) and isinstance(second, ConnectionError)
    assert later == 1


def test_a_caller_that_hangs_up_takes_nothing_from_the_others() -> None:
    async def play() -> int:
        async def request(callers: int) -> int:
            await asyncio.sleep(0.01)
            return callers

        gone, stays = await come(coalescing(request), 2)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(play()) == 2
