"""A project whose processes have a gate each before Redis, so that a rule is decided.

A grader that samples a moment cannot prove a rule that says *never*. Here it plays every schedule
of a few calls, and every crash point of one: see explorer/README.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from explorer import Actor, Command, Gate, Point, Report, Trace, as_lanes, find, is_step
from kit.errors import KitError
from kit.grading.api import Answer, Api
from kit.grading.gated_worker import GatedWorker
from kit.grading.runner_data import RunnerData
from kit.grading.submission import Submission
from kit.processes.child import Child
from kit.verdicts import values
from kit.verdicts.failure import Wrong
from kit.verdicts.values import Kind

LANES = 72  # columns of a schedule in a message
# Ids and tokens in a schedule: whole, or cut off at the end of a lane.
MADE_ANEW = re.compile(r"\b[0-9a-f]{8,}\b|\b[0-9a-f]+(?=…)")


@dataclass(frozen=True)
class Called:
    """What a call was answered. As text, only the status."""

    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    def __str__(self) -> str:
        return str(self.status)


@dataclass(frozen=True)
class GatedApi:
    """One API process, and the gate through which it reaches Redis."""

    name: str
    api: Api
    gate: Gate
    child: Child

    def actor(self, method: str, path: str, body: Any = None) -> Actor:
        """A call to this process, as an operation that an explorer holds and lets go on."""
        return Actor(
            self.name,
            self.gate,
            lambda: Called(self.api.request(method, path, body)),
            lambda: self.child.pid,
        )


class Gated:
    """So many API processes of the project, each behind a gate, and workers.

    A gate is open at first. `workers` have none. `worker_env` is what all workers have in addition.

    `data` is their Redis, looked at without a gate. `close` ends the gates; the processes belong to
    the submission.
    """

    def __init__(
        self,
        submission: Submission,
        apis: int = 2,
        workers: int = 0,
        gated_workers: int = 0,
        env: Mapping[str, str] | None = None,
        worker_env: Mapping[str, str] | None = None,
        redis_url: str = "",
    ) -> None:
        url = redis_url or submission.redis_url
        with ExitStack() as opened:
            self.data = opened.enter_context(closing(RunnerData(url)))
            gates = [opened.enter_context(gate(url)) for _ in range(apis + gated_workers)]
            base = {**(env or {}), "REDIS_URL": url}
            for_worker = {**base, **(worker_env or {})}
            before_api, before_worker = gates[:apis], gates[apis:]
            gated = [{**for_worker, "REDIS_URL": each.url} for each in before_worker]
            ups, children = submission.up_each(
                [{**base, "REDIS_URL": each.url} for each in before_api],
                [*gated, *[for_worker] * workers],
            )
            self.apis = [
                GatedApi(f"API {number}", api, each, child)
                for number, ((api, child), each) in enumerate(zip(ups, before_api, strict=True), 1)
            ]
            self.workers = [
                GatedWorker(
                    f"worker {number}" if gated_workers > 1 else "worker",
                    each,
                    self.apis[0].api,
                    self.data,
                    children[number - 1],
                    submission,
                    gated[number - 1],
                )
                for number, each in enumerate(before_worker, 1)
            ]
            for worker in self.workers:
                opened.enter_context(closing(worker))
            self._open = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the gates."""
        self._open.close()

    def reset(self) -> None:
        """Forget everything: no run, no message, no lock."""
        self.data.forget()

    def warm_up(self, path: str, body: Any = None) -> None:
        """Call each process once, so that what is done only once is done; then forget all."""
        for each in self.apis:
            each.api.post(path, body)
            self.reset()


def gate(redis_url: str, counts: Callable[[Command], bool] = is_step) -> Gate:
    """A gate before this Redis, for the commands that count."""
    made = Gate(redis_url, counts)
    values.note(Kind.PORT, urlsplit(made.url).port)
    return made


def statuses(trace: Trace) -> list[int]:
    """The statuses of all calls of a schedule that were answered, in order of size."""
    return sorted(one.result.status for one in trace.outcomes if isinstance(one.result, Called))


def unanswered(trace: Trace) -> Wrong | None:
    """Why a call of this schedule has no answer, if one has none."""
    for one in trace.outcomes:
        if isinstance(one.result, Wrong):
            return one.result
    return None


def require_kept(report: Report, did: str, expected: str, where: str) -> None:
    """Raise Wrong with the schedule that breaks the rule, if there is one.

    Raises KitError when the search is not complete: then nothing is proven.
    """
    if report.failing is not None:
        raise broken(report.failing, did, expected, where)
    if not report.complete or report.silent:
        raise _undecided(report.silent, report.schedules)


def require_survived(points: Sequence[Point], did: str, expected: str, where: str) -> None:
    """Raise Wrong with the first crash point after which the rule is broken, if there is one.

    Raises KitError when not all points were tried as they should be: then nothing is proven.
    """
    for point in points:
        if point.fault is not None:
            raise broken(point.trace, did, expected, where)
    if silent := sum(point.trace.silent for point in points):
        raise _undecided(silent, len(points))


def _undecided(silent: int, tried: int) -> KitError:
    return KitError(
        f"a process did nothing for too long, so {silent} of {tried} schedules could not be tried "
        "as they should be",
        "./workshop doctor",
    )


def broken(trace: Trace, did: str, expected: str, where: str) -> Wrong:
    """The failure that this schedule shows: what came of it, and its steps."""
    schedule = as_lanes(trace, find(trace), width=LANES)
    for found in MADE_ANEW.findall(schedule):
        values.note(Kind.NAME, found)
    return Wrong(did, expected, trace.fault or "", where, schedule=schedule)


def calls(outcomes: Sequence[int]) -> str:
    """Statuses in words: "once 202, 5 times 409"."""
    count = {1: "once", 2: "twice"}
    return ", ".join(
        f"{count.get(times := outcomes.count(status), f'{times} times')} {status}"
        for status in sorted(set(outcomes))
    )
