"""Finding the processes that a test started: each of them inherits a mark in its environment."""

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

TIMEOUT = 60.0  # seconds; only a test that fails waits so long


def eventually(check: Callable[[], object], what: str, timeout: float = TIMEOUT) -> None:
    """Poll until `check` is true. When it does not become true, fail: `what` was awaited."""
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {what}"
        time.sleep(0.1)


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each. One that ended by itself is fine: a process may follow its parent."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@dataclass
class Mark:
    """A unique variable for the environment of the processes that a test starts."""

    value: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def env(self) -> dict[str, str]:
        return {"WORKSHOP_TEST_MARK": self.value}

    def processes(self) -> list[psutil.Process]:
        """The living processes that carry the mark.

        The runner's own processes hide their environment: only root finds them. Kernels do not.
        """
        found = []
        for process in psutil.process_iter():
            try:
                carries = process.environ().get("WORKSHOP_TEST_MARK") == self.value
                if carries and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def commands(self) -> list[str]:
        """Their command lines."""
        commands = []
        for process in self.processes():
            try:
                commands.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return commands
