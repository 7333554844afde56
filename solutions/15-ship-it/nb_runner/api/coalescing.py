"""Request coalescing: callers that ask while a request is under way share the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
WAIT_TIMEOUT = 0.1  # seconds; where Redis is silent, nobody waits for the answers of others, too


class Coalescing(Generic[T]):
    """Decorates a coroutine function: one request for all callers that have come until it is sent.

    The function gets the number of callers that its answer is for. Only one request is under way
    at a time, unless it takes long. An answer is never older than the call: a caller that comes
    while a request is under way gets the answer to the next one.
    """

    def __init__(self, ask: Callable[[int], Awaitable[T]]) -> None:
        self._ask = ask
        self._next: asyncio.Task[T] | None = None
        self._waiting = 0
        self._under_way: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The answer to a request that is sent after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_once())
        self._waiting += 1
        # A caller that hangs up must not cancel the request of the others.
        return await asyncio.shield(self._next)

    async def _ask_once(self) -> T:
        if self._under_way:
            await asyncio.wait([self._under_way], timeout=WAIT_TIMEOUT)
        self._under_way = self._next
        callers, self._next, self._waiting = self._waiting, None, 0
        return await self._ask(callers)
