"""For the grader of exercise 12: tests that prepare and decide in the background.

Most tests wait: for a kernel, a heartbeat, the end of a lease. So there are several runners, each
of which plays its tests in a thread of its own, from the beginning on. pytest asks for the results
in the order of the tasks.

A machine may be so busy that a right answer is late. Then the runner's answers are late, too. A
failure that comes meanwhile decides nothing: the test is played again, and everything may take
longer then.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from kit.grading.failure import Wrong

PACES = (1.0, 4.0, 12.0)  # how much longer everything may take, from one try to the next


class Runner(Protocol):
    """What plays tests."""

    @property
    def disturbed(self) -> bool:
        """Whether the machine was so busy that a failure decides nothing."""

    def close(self) -> None:
        """End its processes."""


R = TypeVar("R", bound=Runner)


class Undecided(Exception):
    """The test has passed, and might not have passed on a machine that is less busy."""


class Chain(Generic[R]):
    """Plays tests, one after the other, in a thread. `make` starts a runner at a pace.

    After a failure there is a new runner: what a test has left cannot be another's fault.
    """

    def __init__(self, make: Callable[[float], R], tests: Sequence[Callable[[R], None]]) -> None:
        self._make, self._tests = make, tests
        self._paces = list(PACES)
        self._runner: R | None = None
        self._ended = {test.__name__: threading.Event() for test in tests}
        self._errors: dict[str, BaseException | None] = {}
        self._closed = False
        threading.Thread(target=self._play, daemon=True).start()

    def require(self, test: str) -> None:
        """Wait until that test is decided, and raise what it has raised."""
        self._ended[test].wait()
        if (error := self._errors[test]) is not None:
            raise error

    def close(self) -> None:
        """End the runner's processes. What is under way is not decided any more."""
        self._closed = True
        if self._runner is not None:
            self._runner.close()

    def _play(self) -> None:
        broken: BaseException | None = None  # why there can be no runner
        for test in self._tests:
            if broken is None:
                try:
                    self._errors[test.__name__] = self._decide(test)
                except BaseException as error:
                    broken = error
            if broken is not None:
                self._errors[test.__name__] = broken
            self._ended[test.__name__].set()

    def _decide(self, test: Callable[[R], None]) -> BaseException | None:
        """Play a test until it is decided. Returns what it has raised; raises without a runner."""
        while True:
            self._runner = runner = self._runner or self._make(self._paces[0])
            error: BaseException | None = None
            try:
                test(runner)
                return None
            except Undecided:
                pass
            except BaseException as raised:
                error = raised
            again = not self._closed and runner.disturbed and len(self._paces) > 1
            runner.close()
            self._runner = None
            if not again or not (error is None or isinstance(error, Wrong)):
                return error
            self._paces.pop(0)
