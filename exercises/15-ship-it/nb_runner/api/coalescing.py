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
        self._waiting: list[asyncio.Future[T]] = []  # callers of the next request
        self._next: asyncio.Task[None] | None = None
        self._under_way: asyncio.Task[None] | None = None

    async def __call__(self) -> T:
        """The answer to a request that is sent after this call."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if len(self._waiting) == 1:
            self._next = asyncio.create_task(self._ask_once())
        return await answer

    async def _ask_once(self) -> None:
        if self._under_way:
            await asyncio.wait([self._under_way], timeout=WAIT_TIMEOUT)
        self._under_way = self._next
        callers, self._waiting = self._waiting, []
        try:
            answer = await self._ask(len(callers))
        except Exception as error:
            for caller in callers:
                if not caller.done():  # it has not hung up meanwhile
                    caller.set_exception(error)
        else:
            for caller in callers:
                if not caller.done():
                    caller.set_result(answer)
