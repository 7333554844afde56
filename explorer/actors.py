"""Actors: each performs one operation through its gate, one command at a time."""

import threading
from collections.abc import Callable
from time import monotonic

from explorer import processes
from explorer.commands import Command
from explorer.connection import Passed
from explorer.data import Data
from explorer.gate import Gate
from explorer.resp import ErrorReply
from explorer.trace import Outcome, State, Step
from explorer.waiting import loop


class Actor:
    """An operation, performed by a process that has its Redis behind `gate`.

    `operation` is called in a thread, and what it returns is the outcome; it is the process that
    sends the commands. `pid` tells the process, where an explorer is to kill or pause it.
    """

    def __init__(
        self,
        name: str,
        gate: Gate,
        operation: Callable[[], object],
        pid: Callable[[], int] | None = None,
    ) -> None:
        self.name, self.gate, self.operation, self.pid = name, gate, operation, pid
        self.state: State = "waits"
        self.result: object = None
        self._steps: list[Step] = []
        self._seen: list[tuple[bytes | None, ...]] = []  # what each step's keys held after it
        self._open: Passed | None = None  # a command that Redis leaves without an answer
        self._cut = False
        self._run = 0  # a thread that outlives its run must not end the next one

    @property
    def ended(self) -> bool:
        """Whether its operation is over."""
        return self.state != "waits"

    @property
    def next(self) -> Command | None:
        """The command that it would send next, if it has one to send."""
        with self.gate.changed:
            return self.gate.held[0] if self.gate.held and not self.ended else None

    def start(self) -> None:
        """Begin the operation, and hold its first command."""
        self.gate.hold()
        self.state, self.result, self._open, self._cut = "waits", None, None, False
        self._steps, self._seen = [], []
        self._run += 1
        threading.Thread(target=self._perform, args=(self._run,), daemon=True).start()

    def settle(self, seconds: float) -> bool:
        """Wait until it has a command to send, or has ended, or Redis lets it wait."""
        return self.gate.wait(self._settled, seconds)

    def ready(self, data: Data) -> bool:
        """Whether it could go on. One that repeats itself in vain could, once what it asks for
        is another.
        """
        command = self.next
        if command is None:
            return False
        length = len(loop(command, self._steps))
        if not length:
            return True
        pairs = zip(self._steps[-length:], self._seen[-length:], strict=True)
        return any(step.keys is None or data.look(step.keys) != seen for step, seen in pairs)

    def take(self, data: Data, began: float, timeout: float) -> Step | None:
        """Let one command pass. Of one without an answer, the step comes later: see `woken`."""
        while True:
            if not self.gate.wait(self._settled, timeout) or self.next is None:
                return None
            before = data.changes()
            passed = self.gate.step(timeout, cut=self._cut)
            if passed is None:
                return None
            if not _not_loaded(passed):
                break
        self._cut = False
        if not passed.answered:
            self._open = passed
            return Step(self.name, passed.command, at=monotonic() - began, answered=False)
        return self._done(passed, data, before, began)

    def woken(self, data: Data, began: float, seconds: float) -> Step | None:
        """The step that had been left without an answer, if the answer comes in this time."""
        passed = self._open
        if passed is None or not self.gate.wait(lambda: passed.answered, seconds):
            return None
        self._open = None
        return self._done(passed, data, None, began)

    def outcome(self) -> Outcome:
        """How its operation ended, so far."""
        return Outcome(self.name, self.state, self.result)

    def release(self) -> None:
        """Let everything pass."""
        self.gate.open()

    def end(self, seconds: float) -> bool:
        """Wait until its operation is over; after a moment without its connections."""
        deadline = monotonic() + seconds
        while not self.gate.wait(lambda: self.ended, 1.0):
            if monotonic() > deadline:
                return False
            self.gate.drop()
        return True

    def cut(self) -> None:
        """Let its next command reach Redis, and cut the connection before the answer."""
        self._cut = True

    def kill(self) -> None:
        """Kill the process where it stands; what it had sent, and what is held, is lost."""
        processes.kill(self._process())
        self.gate.drop()
        self.state = "killed"

    def pause(self) -> None:
        """Let the process stand still."""
        processes.pause(self._process())

    def wake(self) -> None:
        """Let the process go on."""
        processes.wake(self._process())

    def _process(self) -> int:
        if self.pid is None:
            raise ValueError(f"{self.name} was made without a `pid`, so nobody knows its process")
        return self.pid()

    def _settled(self) -> bool:
        return bool(self.gate.held) or self.ended or self._open is not None

    def _done(self, passed: Passed, data: Data, before: int | None, began: float) -> Step:
        after = data.changes()
        changed = None if before is None or after is None else after != before
        step = Step(
            self.name, passed.command, passed.reply, changed, monotonic() - began, cut=passed.cut
        )
        self._steps.append(step)
        # Looked at now: until it asks again, others may have changed it.
        self._seen.append(() if step.wrote or step.keys is None else data.look(step.keys))
        return step

    def _perform(self, run: int) -> None:
        state: State
        result: object
        try:
            state, result = "done", self.operation()
        except Exception as error:  # the rule decides whether it may
            state, result = "failed", error
        with self.gate.changed:
            if run == self._run and not self.ended:
                self.result, self.state = result, state
            self.gate.changed.notify_all()


def _not_loaded(passed: Passed) -> bool:
    """Whether Redis did not know the script: its sender will send it, so this was no step."""
    return isinstance(passed.reply, ErrorReply) and passed.reply.startswith("NOSCRIPT")
