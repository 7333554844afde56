"""Wrong answers of exercise 07, with real processes: which schedule is found, and judged how."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer import Actor, Gate, find
from explorer.connection import Passed
from kit.authoring.mistakes import mistakes_of
from kit.checking.trial import copy_project
from kit.course import catalogue
from kit.exploring.crashes import crashes_of_run
from kit.exploring.findings import Outcome
from kit.exploring.revokes import Revokes
from kit.exploring.schedules import cancel_and_run, start_and_run, starts_apart, two_starts
from kit.exploring.subject import Subject, opened
from kit.grading.gated.worker import EVENT_TIMEOUT
from kit.grading.runner.runs import status
from kit.processes.child import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

EXERCISE = catalogue.find("07")


@pytest.fixture
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A runner with a known mistake."""
    project = copy_project(EXERCISE.solution, tmp_path)
    next(each for each in mistakes_of(EXERCISE) if each.name == request.param).make(project)
    with opened(project) as subject:
        yield subject


def tried(_: int) -> None:
    """Not looked at."""


@pytest.mark.parametrize(
    "wrong", ["looks and writes without a lock", "a lock for each process"], indirect=True
)
def test_two_that_look_before_they_write(wrong: Subject) -> None:
    search = two_starts(wrong, "two starts", tried)
    assert search.failing is not None and search.failing.preemptions > 0
    assert search.failing.fault == "2 runs are active at the same time"
    assert "both saw nothing" in find(search.failing).sentence
    assert starts_apart(wrong, "apart", tried).kept


POINTER = """
def admit(record: Record) -> None:
    with redis.lock(LOCK, timeout=10, blocking_timeout=10):
        pointed_at = redis.get("nb:current")
        current = get(str(pointed_at)) if pointed_at else None
        if current and current.status.active:
            raise Busy(current.run_id)
        save(record)
        redis.set("nb:current", record.run_id)
"""
BLIND_END = """
from celery import signals


@signals.task_postrun.connect
def forget_the_current_run(**_):
    import redis

    redis.Redis.from_url(REDIS_URL).delete("nb:current")
"""


def test_the_end_of_a_run_that_takes_the_next_one_away(tmp_path: Path) -> None:
    project = copy_project(EXERCISE.solution, tmp_path)
    for name, more in (("runs.py", POINTER), ("tasks.py", BLIND_END)):
        module = project / "nb_runner" / name
        module.write_text(module.read_text() + more)
    with opened(project) as subject, subject.worker() as worker:
        search = start_and_run(subject, worker, "start and run", tried)
    assert search.failing is not None and search.failing.preemptions == 1
    assert search.failing.fault is not None
    assert search.failing.fault.endswith("is active, and a further start was let in")


def test_a_cancelled_run_that_still_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exercise = catalogue.find("08")
    project = copy_project(exercise.solution, tmp_path)
    name = "a run that was cancelled still blocks"
    next(each for each in mistakes_of(exercise) if each.name == name).make(project)
    cancel = Subject.cancel

    def unheard(subject: Subject) -> Actor:
        call = cancel(subject)
        post = call.operation

        def answered() -> object:
            """As on a busy machine: the parent process of the worker stands still, and the child
            process, which performs the run, does not."""
            os.kill(worker.child.pid, signal.SIGSTOP)
            threading.Timer(1.0, os.kill, [worker.child.pid, signal.SIGCONT]).start()
            return post()

        call.operation = answered
        return call

    with opened(project) as subject, subject.worker() as worker:
        assert start_and_run(subject, worker, "start and run", tried).kept
        monkeypatch.setattr(Subject, "cancel", unheard)
        search = cancel_and_run(subject, worker, "cancel and run", tried)
    assert search.failing is not None
    assert search.failing.fault == "no run is active, and a further start was refused"


def test_a_killed_run_is_over_when_the_worker_has_written_it_down() -> None:
    project = catalogue.find("08").solution
    with opened(project) as subject, subject.worker() as worker:
        worker.take()
        with Revokes(worker, subject.data.redis) as revokes:
            revokes.heard(lambda: subject.observer.post("/cancel"))
            deadline = time.monotonic() + EVENT_TIMEOUT + 0.2
            while time.monotonic() < deadline:  # its commands are held
                assert not revokes.is_over()
                time.sleep(0.01)
            worker.gate.open()
            wait_until(revokes.is_over, "the end of a run", 10)
        assert status(subject.observer, worker.run_id) == "CANCELLED"


def test_a_start_that_gave_up_waiting_is_no_crash_point(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Gate.step

    def late(gate: Gate, timeout: float, *, cut: bool = False) -> Passed | None:
        if "QUEUED" in gate.held[0].words:  # with it, a start takes the lease
            time.sleep(2.6)  # a busy machine: before it gets an answer, the API gives up
        return step(gate, timeout, cut=cut)

    with opened(catalogue.find("15").solution) as subject, subject.worker() as worker:
        monkeypatch.setattr(Gate, "step", late)
        points = crashes_of_run(subject, worker, tried, ["kill"])
    assert {point.outcome for point in points} == {Outcome.LET_IN}
