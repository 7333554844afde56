"""The runner that is explored: its processes, each behind a gate."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import psutil

from explorer import Actor
from kit.errors import KitError
from kit.grading.api import Api
from kit.grading.gated.project import GatedProject, gate_before
from kit.grading.gated.worker import GatedWorker
from kit.grading.options import GraderOptions
from kit.grading.runner.data import RunnerData
from kit.grading.runner.runs import status
from kit.grading.submission import Submission
from kit.processes.child import Child, wait_until
from kit.processes.environment import allowed
from kit.processes.forkserver import ForkServer
from kit.processes.stack import Stack
from kit.verdicts.failure import Wrong

LEASH_TIMEOUT = 10.0  # seconds
# Seconds in which a worker acknowledges a message, unless it does so at the end.
ACKNOWLEDGE_TIMEOUT = 1.0
POLL_INTERVAL = 0.005  # seconds
CLAIM_TIMEOUT = 10.0  # seconds in which a worker begins a run, or puts its message aside
# Seconds after which Redis answers a stopped worker that there is no message.
BLOCKED_READ_TIMEOUT = 1.5
CELL = """
import pathlib, time
while pathlib.Path({hold!r}).exists():
    time.sleep(0.05)
"""
TAKE_TIMEOUT = 60.0  # seconds
IDLE_TIMEOUT = 0.5  # seconds; to start another worker takes not much longer
TAKEN = re.compile(r"Task [\w.]+\[([^\]]+)\] received")  # in the log of a worker
DONE = re.compile(r"(?:Task|revoked task:) [\w.]+\[([^\]]+)\](?! received)")
FIRST_WITH_NOTEBOOK = 10  # before it, a start says how long its run takes
# Seconds. Only the time that we let pass may end a lease: a busy machine is no crash.
LEASE = "120"
APIS = 3  # two whose calls are played, and one that is asked what came of them

Tried = Callable[[int], object]  # called with the number of schedules or points tried so far


@dataclass(frozen=True)
class Subject:
    """A runner that is up, without a worker."""

    submission: Submission
    gated: GatedProject
    env: Mapping[str, str]
    hold: Path  # while this file is there, no notebook ends

    @property
    def data(self) -> RunnerData:
        """Its data in Redis."""
        return self.gated.data

    @property
    def observer(self) -> Api:
        """An API process that takes no part in schedules."""
        return self.gated.apis[-1].api

    def starts(self, seconds: float | None = None) -> list[Actor]:
        """A start for each API process that takes part; of a run of so many seconds, if it can be
        said. (From the exercise with a notebook on, the notebook says it.)
        """
        body = None if seconds is None or not self.says_seconds else {"seconds": seconds}
        actors = [api.actor("POST", "/start", body) for api in self.gated.apis[:-1]]
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

    @property
    def says_seconds(self) -> bool:
        """Whether a start says how long its run takes."""
        return 0 < self.submission.number < FIRST_WITH_NOTEBOOK

    def can_cancel(self) -> bool:
        """Whether there is POST /cancel at all."""
        return "post" in self.observer.openapi().get("paths", {}).get("/cancel", {})

    @contextmanager
    def notebook_without_kernel(self) -> Iterator[None]:
        """Runs fail at once meanwhile, for lack of a kernel. All their commands remain."""
        path = Path(self.env["NOTEBOOK_PATH"])
        whole = path.read_text()
        path.write_text(json.dumps(_book(self.hold, kernel="there-is-none")))
        try:
            yield
        finally:
            path.write_text(whole)

    @contextmanager
    def worker(self) -> Iterator[GatedWorker]:
        """A worker, behind a gate; killed at the end."""
        redis_url = self.submission.redis_url
        with closing(gate_before(redis_url)) as before_it:
            env = {**self.env, "REDIS_URL": before_it.url}
            child = self.submission.worker(env)
            worker = GatedWorker(
                "worker", before_it, self.observer, self.data, child, self.submission, env
            )
            if self.says_seconds:
                worker.body = {"seconds": 0}
            with closing(worker):
                yield worker
            worker.kill()

    def two_at_work(self, run_id: str) -> bool:
        """Whether two workers are at one run at the same time, when its message is there twice.

        A worker may take messages in advance. So the second message is only there when the first
        worker has taken the first one, and takes no other.
        """
        self.hold.touch()  # no run ends
        [key] = [key for key in self.data.redis.scan_iter(_type="LIST") if b"celery" in key]
        second = self.data.redis.lpop(key)
        assert isinstance(second, bytes)
        workers = [self.submission.worker(self.env)]
        try:
            _wait_until_taken(workers[0], run_id)
            self._wait_until_begun(run_id)
            workers[0].signal(signal.SIGSTOP)
            sleep(BLOCKED_READ_TIMEOUT)
            self.data.redis.lpush(key, second)
            workers.append(self.submission.worker(self.env))
            _wait_until_taken(workers[1], run_id)
            deadline = monotonic() + CLAIM_TIMEOUT
            while monotonic() < deadline:
                if any(run_id in DONE.findall(worker.output()) for worker in workers):
                    return False
                sleep(POLL_INTERVAL)
            return True
        finally:
            for worker in workers:
                worker.kill()
            self.hold.unlink()

    def _wait_until_begun(self, run_id: str) -> None:
        """Wait for the worker that has taken a message: stopped before, it would never begin."""
        deadline = monotonic() + CLAIM_TIMEOUT
        while status(self.observer, run_id) != "RUNNING" and monotonic() < deadline:
            sleep(POLL_INTERVAL)

    def run_by(self, worker: GatedWorker) -> Actor:
        """A run, as an operation of that worker."""
        actor = worker.actor()

        def pid() -> int:
            """Asked before it is killed or paused. What it has taken is no message any more."""
            deadline = monotonic() + ACKNOWLEDGE_TIMEOUT
            while self.data.redis.exists("unacked") and monotonic() < deadline:
                sleep(POLL_INTERVAL)
            return worker.child.pid

        actor.pid = pid
        return actor

    def reset_worker(self, worker: GatedWorker) -> None:
        """Forget everything, and have an idle worker: a new one, unless the old one is soon idle.

        What a worker has taken finds nothing in Redis any more.
        """
        self.gated.reset()
        worker.gate.open()
        if has_ended(worker.child) or not _soon_idle(worker):
            worker.kill()
            worker.revive()
        self.gated.reset()

    def _pid(self, number: int) -> int:
        return self.gated.apis[number].child.pid


@contextmanager
def opened(folder: Path) -> Iterator[Subject]:
    """Start the runner in `folder`. Raises KitError when it does not start."""
    with ExitStack() as ending:
        options = GraderOptions.from_env(os.environ)
        if sys.platform == "linux":  # an API process that was killed is back ten times as quickly
            env = allowed(os.environ)
            log = ending.enter_context(Stack(env=env)).logs / "forkserver.log"
            server = ending.enter_context(ForkServer(log, env))
            options = GraderOptions(fork_server=server.client, start_timeout=options.start_timeout)
        submission = ending.enter_context(Submission(folder, options))
        try:
            hold = submission.state / "hold"
            notebook = submission.state / "explored.ipynb"
            notebook.write_text(json.dumps(_book(hold)))
            env = {"NOTEBOOK_PATH": str(notebook), "LEASE_SECONDS": LEASE}
            gated = ending.enter_context(GatedProject(submission, apis=APIS, env=env))
            gated.warm_up("/start")
        except Wrong as wrong:
            raise cannot_be_explored(submission, wrong) from None
        yield Subject(submission, gated, env, hold)


def _book(hold: Path, kernel: str = "python3") -> dict[str, object]:
    """The shortest notebook there is: with one cell, a run has few commands."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    return {
        "cells": [cell | {"source": CELL.format(hold=str(hold))}],
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def cannot_be_explored(submission: Submission, wrong: Wrong) -> KitError:
    """The error for a runner that does not start, or does not answer."""
    number = submission.number
    check = f"./workshop check {number:02} --path {submission.folder}" if number else ""
    return KitError(f"{submission.folder.name} cannot be explored: {wrong.got}", check)


def has_ended(child: Child) -> bool:
    """Whether a process has ended. Its leash may report that later; then this waits for it."""
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            return False
    child.wait(LEASH_TIMEOUT)
    return True


def _wait_until_taken(worker: Child, run_id: str) -> None:
    """Wait until the worker has taken the message of that run."""
    taken = partial(_has_taken, worker, run_id)
    wait_until(taken, "the worker to take a message", TAKE_TIMEOUT, worker)


def _has_taken(worker: Child, run_id: str) -> bool:
    return run_id in TAKEN.findall(worker.output())


def _soon_idle(worker: GatedWorker) -> bool:
    """Whether the worker has soon done with all messages that it has taken."""
    deadline = monotonic() + IDLE_TIMEOUT
    while not all(map(worker.has_done_with, TAKEN.findall(worker.child.output()))):
        if monotonic() > deadline:
            return False
        sleep(POLL_INTERVAL)
    return True
