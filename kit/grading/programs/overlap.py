"""Two starts whose handling overlaps: which schedules let both in?

    python -m kit.grading.programs.overlap RESULT_FILE

The app runs in this process, without a server. The handling of a request is a sequence of steps:
the event loop goes on with another request only where a coroutine waits, and the system goes on
with another thread anywhere, here at any line of the project. So at each of these points the first
start is held, while the second one is handled as far as it gets; and, if both wait in coroutines,
the second is held as well, while the first one goes on. That is every schedule with one change
that is not forced, and for coroutines with two (iterative context bounding, Musuvathi and Qadeer
2007). Two requests that look and then write need no more.

Each schedule runs in a fork of this process, because the app remembers its runs.
"""

import asyncio
import json
import linecache
import os
import sys
import threading
import time
import traceback
from collections.abc import Coroutine, Generator, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from kit.grading.programs.asgi import Post, app, started

QUIET = 0.2  # seconds without a step: the handling waits for something, perhaps for the other one
ANSWER_TIMEOUT = 10.0  # seconds
POLL_INTERVAL = 0.002
ENDLESS = 600  # seconds that the job is to take: both jobs would run at once
ACCEPTED = 202
MOST_AFTER_ANSWER = 8  # points: what the job does then, it may do for minutes
PACKAGE = Path.cwd() / "nb_runner"

_handled: ContextVar["Handling | None"] = ContextVar("handled", default=None)


@dataclass(frozen=True)
class Outcome:
    """What one schedule led to: where each start was held, if it was, and its status."""

    first_held: str
    second_held: str
    first_status: int | None
    second_status: int | None
    in_thread: bool  # at least one of them was held in a thread
    after_answer: bool  # the first was held when its answer was on the way already

    @property
    def both_accepted(self) -> bool:
        return self.first_status == self.second_status == ACCEPTED


class Handling:
    """The handling of one start, which is held at its point number `stop`; 0 means nowhere."""

    def __init__(self, stop: int) -> None:
        self.post = Post("/start", {"seconds": ENDLESS})
        self.stop = stop
        self.place = ""  # where it was held
        self.in_thread = False
        self.held_after_answer = False
        self.held = False
        self._points = 0
        self._moved = 0.0  # when it last took a step
        self._go_on = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self, project: Any) -> None:
        token = _handled.set(self)
        self._moved = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self.post.send(project))
        _handled.reset(token)

    def release(self) -> None:
        self._moved = time.monotonic()
        self.held = False
        self._go_on.set()

    async def settle(self) -> None:
        """Wait until it is held, or answered with nothing to hold it later, or waits by itself."""
        assert self._task is not None
        while not (
            self.held
            or self._task.done()
            or (self.post.status is not None and (self._go_on.is_set() or not self.stop))
            or time.monotonic() - self._moved > QUIET
        ):
            await asyncio.sleep(POLL_INTERVAL)

    async def answer(self) -> int | None:
        """The status of the answer."""
        assert self._task is not None
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while self.post.status is None and not self._task.done() and time.monotonic() < deadline:
            await asyncio.sleep(POLL_INTERVAL)
        return self.post.status

    async def pause(self, coroutine: Any) -> None:
        """A point in a coroutine, which was waiting and can go on."""
        place = waiting_place(coroutine)
        if self._reach(place):
            while not self._go_on.is_set():
                await asyncio.sleep(POLL_INTERVAL)

    def pause_thread(self, frame: FrameType) -> None:
        """A point in a thread, before a line of the project."""
        if self._reach(line_of(frame)):
            self.in_thread = True
            self._go_on.wait()

    def _reach(self, place: str) -> bool:
        """Whether it is to be held here. What waits in FastAPI only is not a point of its own."""
        self._moved = time.monotonic()
        self._points += bool(place)
        if not place or self._points != self.stop:
            return False
        self.place = place
        self.held_after_answer = self.post.status is not None
        self.held = True
        return True


class Steps:
    """A coroutine that can be held whenever it could go on after it has waited."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], handling: Handling) -> None:
        self._coroutine = coroutine
        self._handling = handling

    def __await__(self) -> Generator[Any, Any, Any]:
        step = partial(self._coroutine.send, None)
        while True:
            try:
                awaited = step()
            except StopIteration as end:
                return end.value
            try:
                yield awaited
                yield from self._handling.pause(self._coroutine).__await__()
                step = partial(self._coroutine.send, None)
            except BaseException as error:  # a cancellation, for example: it is the coroutine's
                step = partial(self._coroutine.throw, error)


def make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> "asyncio.Task[Any]":
    """The task factory: what belongs to the handling of a start can be held."""
    handling = _handled.get()
    if handling is not None:
        coroutine = _awaited(Steps(coroutine, handling))
    return asyncio.Task(coroutine, loop=loop, **options)


async def _awaited(steps: Steps) -> Any:
    return await steps


def trace(frame: FrameType, event: str, argument: Any) -> Any:
    """The trace function of new threads: each line of the project is a point."""
    if _handled.get() is None or not is_ours(frame):
        return None
    return trace_lines


def trace_lines(frame: FrameType, event: str, argument: Any) -> Any:
    handling = _handled.get()
    if event == "line" and handling is not None:
        handling.pause_thread(frame)
    return trace_lines


def waiting_place(coroutine: Any) -> str:
    """The project's innermost line that a coroutine waits in, or the server; else nothing."""
    place = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and is_ours(frame):
            place = line_of(frame)
        elif frame is not None and frame.f_code is Post.answer.__code__:
            place = "its answer is being sent"
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return place


def is_ours(frame: FrameType) -> bool:
    """Whether the code is the project's."""
    return Path(frame.f_code.co_filename).is_relative_to(PACKAGE)


def line_of(frame: FrameType) -> str:
    file = Path(frame.f_code.co_filename)
    source = linecache.getline(str(file), frame.f_lineno).strip()
    return f"{file.relative_to(PACKAGE.parent)}, line {frame.f_lineno}: {source}"


async def overlap(project: Any, stops: tuple[int, int], report: int) -> None:
    """Handle two starts, each held at its point. The first goes on before the second does.

    This writes the outcome to the file `report` and ends the process: the jobs go on for minutes.
    """
    asyncio.get_running_loop().set_task_factory(make_task)
    async with started(project):
        first, second = both = Handling(stops[0]), Handling(stops[1])
        for handling in both:
            handling.begin(project)
            await handling.settle()
        for handling in both:
            handling.release()
            await handling.settle()
        outcome = Outcome(
            first.place,
            second.place,
            await first.answer(),
            await second.answer(),
            in_thread=first.in_thread or second.in_thread,
            after_answer=first.held_after_answer,
        )
        os.write(report, json.dumps(asdict(outcome)).encode())
        os._exit(0)


def attempt(project: Any, stops: tuple[int, int]) -> Outcome:
    """The outcome of one schedule, tried in a fork. Raises SystemExit if there is none."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        try:
            threading.settrace(trace)
            asyncio.run(overlap(project, stops, write_end))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        text = report.read()
    os.wait()
    if not text:
        sys.exit("a schedule could not be tried")
    return Outcome(**json.loads(text))


def schedules(project: Any) -> Iterator[Outcome]:
    """The outcomes of all schedules."""
    after_answer = 0
    for first in count(1):
        alone = attempt(project, (first, 0))
        yield alone
        after_answer += alone.after_answer
        if not alone.first_held or after_answer > MOST_AFTER_ANSWER:
            return  # the first start has no more points that matter
        for second in () if alone.in_thread else count(1):
            outcome = attempt(project, (first, second))
            if outcome.in_thread or not outcome.second_held:
                break
            yield outcome


def main() -> None:
    """Try all schedules, up to the first that lets both in."""
    project = app()
    found = next((each for each in schedules(project) if each.both_accepted), None)
    Path(sys.argv[1]).write_text(json.dumps(found and asdict(found)))


if __name__ == "__main__":
    main()
