"""The runner that is explored: its processes, each behind a gate."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from explorer import Actor, Data
from kit.errors import KitError
from kit.grading.api import Api
from kit.grading.failure import Wrong
from kit.grading.gated import Gated
from kit.grading.options import GraderOptions
from kit.grading.submission import OURS, Submission
from kit.processes.child import Child
from kit.processes.forkserver import ForkServer
from kit.processes.stack import Stack

LEASH_TIMEOUT = 10.0  # seconds
APIS = 3  # two whose calls are played, and one that is asked what came of them


@dataclass(frozen=True)
class Subject:
    """A runner that is up, without a worker."""

    submission: Submission
    gated: Gated

    @property
    def data(self) -> Data:
        """Its data in Redis."""
        return self.gated.data

    @property
    def observer(self) -> Api:
        """An API process that takes no part in schedules."""
        return self.gated.apis[-1].api

    def starts(self) -> list[Actor]:
        """A start for each API process that takes part."""
        actors = [api.actor("POST", "/start") for api in self.gated.apis[:-1]]
        for number, actor in enumerate(actors):
            actor.pid = partial(self._pid, number)  # of the process that is there now
        return actors

    def cancel(self) -> Actor:
        """A cancel, by the second API process."""
        return self.gated.apis[1].actor("POST", "/cancel")

    def reset(self) -> None:
        """Forget everything: no run, no message, no lock."""
        self.gated.reset()

    def reset_all(self) -> None:
        """Forget everything, and have each process as it was before it crashed.

        One that is new, or has a new connection, sends more commands at its first start.
        """
        for number, api in enumerate(self.gated.apis):
            if has_ended(api.child):
                child = self.submission.restart_api(api.child)
                self.gated.apis[number] = replace(api, child=child)
        self.gated.reset()  # or the starts that warm up would be refused
        self.gated.warm_up("/start")

    def _pid(self, number: int) -> int:
        return self.gated.apis[number].child.pid

    def can_cancel(self) -> bool:
        """Whether there is POST /cancel at all."""
        return "post" in self.observer.openapi().get("paths", {}).get("/cancel", {})


@contextmanager
def opened(folder: Path) -> Iterator[Subject]:
    """Start the runner in `folder`. Raises KitError when it does not start."""
    with ExitStack() as ending:
        options = GraderOptions.from_env(os.environ)
        if sys.platform == "linux":  # an API process that was killed is back ten times as quickly
            env = {name: value for name, value in os.environ.items() if name not in OURS}
            log = ending.enter_context(Stack(env=env)).logs / "forkserver.log"
            server = ending.enter_context(ForkServer(log, env))
            options = GraderOptions(fork_server=server.client, start_timeout=options.start_timeout)
        submission = ending.enter_context(Submission(folder, options))
        try:
            gated = ending.enter_context(Gated(submission, apis=APIS))
            gated.warm_up("/start")
        except Wrong as wrong:
            raise cannot_be_explored(submission, wrong) from None
        yield Subject(submission, gated)


def cannot_be_explored(submission: Submission, wrong: Wrong) -> KitError:
    """The error for a runner that does not start, or does not answer."""
    number = submission.number
    check = f"./workshop check {number:02} --path {submission.folder}" if number else ""
    return KitError(f"{submission.folder.name} cannot be explored: {wrong.got}", check)


def has_ended(child: Child) -> bool:
    """Whether a process is dead. Its leash may report it a moment later; then this waits for it."""
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            return False
    child.wait(LEASH_TIMEOUT)
    return True
