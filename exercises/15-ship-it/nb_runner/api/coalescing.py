"""Request coalescing: callers that ask while a request is under way share the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Coalescing(Generic[T]):
    """Decorates a coroutine function: one request for all callers that have come until it is sent.

    The function gets the number of callers that its answer is for. Only one request is under way
    at a time. An answer is never older than the call: a caller that comes while a request is under
    way gets the answer to the next one.
    """

    def __init__(self, ask: Callable[[int], Awaitable[T]]) -> None:
        self._ask = ask
        self._next: asyncio.Task[T] | None = None
        self._waiting = 0
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> T:
        """The answer to a request that is sent after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_once())
        self._waiting += 1
        # A caller that hangs up must not cancel the request of the others.
        return await asyncio.shield(self._next)

    async def _ask_once(self) -> T:
        async with self._one_at_a_time:
            callers, self._next, self._waiting = self._waiting, None, 0
            return await self._ask(callers)
