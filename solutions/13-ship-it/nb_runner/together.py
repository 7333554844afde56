"""Many callers, one trip: those who ask while Redis is being asked share the next answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Asks once for all who are waiting. An answer is never older than the question.

    `ask` gets the number of callers that its answer is for. While it is under way, newcomers wait:
    for the next one, since this one may have been answered before they came.
    """

    def __init__(self, ask: Callable[[int], Awaitable[T]]) -> None:
        self._ask = ask
        self._now: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._waiting = 0

    async def __call__(self) -> T:
        """The answer to a question put after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._now))
        self._waiting += 1
        # A caller that hangs up must not take the others' answer with it.
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[T] | None) -> T:
        if before:
            await asyncio.wait([before])
        self._now, self._next = self._next, None
        callers, self._waiting = self._waiting, 0
        return await self._ask(callers)
