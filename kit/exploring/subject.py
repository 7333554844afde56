"""The runner that is explored: its processes, each behind a gate."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import psutil

from explorer import Actor, Data
from kit.errors import KitError
from kit.grading.api import Api
from kit.grading.failure import Wrong
from kit.grading.gated import Gated, gate
from kit.grading.gated_worker import GatedWorker
from kit.grading.options import GraderOptions
from kit.grading.submission import OURS, Submission
from kit.processes.child import Child, wait_until
from kit.processes.forkserver import ForkServer
from kit.processes.stack import Stack

LEASH_TIMEOUT = 10.0  # seconds
ACKNOWLEDGED = 1.0  # seconds in which a worker acknowledges a message, unless it does so at the end
POLL_INTERVAL = 0.005  # seconds
IDLE_TIMEOUT = 60.0  # seconds
TAKEN = re.compile(r"Task [\w.]+\[([^\]]+)\] received")  # in the log of a worker
DONE = re.compile(r"(?:Task|revoked task:) [\w.]+\[([^\]]+)\](?! received)")
FIRST_WITH_NOTEBOOK = 10  # before it, a start says how long its run takes
APIS = 3  # two whose calls are played, and one that is asked what came of them

Tried = Callable[[int], object]  # hears how many schedules or points have been tried


@dataclass(frozen=True)
class Subject:
    """A runner that is up, without a worker."""

    submission: Submission
    gated: Gated
    env: Mapping[str, str]

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
        self.gated.apis[0].api.post("/start")
        self.gated.reset()

    def can_cancel(self) -> bool:
        """Whether there is POST /cancel at all."""
        return "post" in self.observer.openapi().get("paths", {}).get("/cancel", {})

    @contextmanager
    def worker(self) -> Iterator[GatedWorker]:
        """A worker, behind a gate; killed at the end."""
        redis_url = self.submission.redis_url
        with closing(gate(redis_url)) as before_it:
            start = partial(self.submission.worker, {**self.env, "REDIS_URL": before_it.url})
            worker = GatedWorker("worker", before_it, self.observer, self.data, start(), start)
            if self.submission.number < FIRST_WITH_NOTEBOOK:
                worker.body = {"seconds": 0}
            yield worker
            worker.child.kill()

    def run_by(self, worker: GatedWorker) -> Actor:
        """A run, as an operation of that worker."""
        actor = worker.actor()

        def pid() -> int:
            """Asked before it is killed or paused. What it has taken is no message any more."""
            deadline = monotonic() + ACKNOWLEDGED
            while self.data.redis.exists("unacked") and monotonic() < deadline:
                sleep(POLL_INTERVAL)
            return worker.child.pid

        actor.pid = pid
        return actor

    def reset_worker(self, worker: GatedWorker) -> None:
        """Forget everything, and have an idle worker: a new one, if it has been killed."""
        worker.gate.open()
        self.gated.reset()
        if has_ended(worker.child):
            worker.child = worker.restart()
        wait_until(lambda: _idle(worker.child), "the worker to be idle", IDLE_TIMEOUT, worker.child)
        self.gated.reset()

    def _pid(self, number: int) -> int:
        return self.gated.apis[number].child.pid


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
            notebook = {"NOTEBOOK_PATH": str(_notebook(submission.state))}
            gated = ending.enter_context(Gated(submission, apis=APIS, env=notebook))
            gated.warm_up("/start")
        except Wrong as wrong:
            raise cannot_be_explored(submission, wrong) from None
        yield Subject(submission, gated, notebook)


def _notebook(folder: Path) -> Path:
    """The shortest notebook there is: with one cell, a run has few commands."""
    cell: dict[str, object] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    book = {
        "cells": [cell | {"source": "print('explored')"}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    path = folder / "explored.ipynb"
    path.write_text(json.dumps(book))
    return path


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


def _idle(worker: Child) -> bool:
    """Whether the worker has done with all messages that it has taken."""
    log = worker.output()
    return set(TAKEN.findall(log)) <= set(DONE.findall(log))
