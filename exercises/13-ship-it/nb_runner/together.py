"""Many callers, one trip: those who ask in the same turn of the event loop share an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Asks once for all who have come by the time the question is put.

    `ask` gets the number of callers that its answer is for. An answer is never older than the
    question: who comes while one is under way is in time for the next only.
    """

    def __init__(self, ask: Callable[[int], Awaitable[T]]) -> None:
        self._ask = ask
        self._next: asyncio.Task[T] | None = None
        self._waiting = 0

    async def __call__(self) -> T:
        """The answer to a question put after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._together())
        self._waiting += 1
        # A caller that hangs up must not take the others' answer with it.
        return await asyncio.shield(self._next)

    async def _together(self) -> T:
        callers, self._next, self._waiting = self._waiting, None, 0
        return await self._ask(callers)
