"""A project whose processes have a gate each before Redis, so that a rule is decided.

A grader that samples a moment cannot prove a rule that says *never*. Here it plays every schedule
of a few calls, and every crash point of one: see explorer/README.md.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from explorer import Actor, Command, Gate, is_step
from kit.grading.api import Answer, Api
from kit.grading.gated.worker import GatedWorker
from kit.grading.runner.data import RunnerData
from kit.grading.submission import Submission
from kit.processes.child import Child
from kit.verdicts import values
from kit.verdicts.values import Kind


@dataclass(frozen=True)
class CallResult:
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
            lambda: CallResult(self.api.request(method, path, body)),
            lambda: self.child.pid,
        )


class GatedProject:
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
            gates = [opened.enter_context(gate_before(url)) for _ in range(apis + gated_workers)]
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


def gate_before(redis_url: str, counts: Callable[[Command], bool] = is_step) -> Gate:
    """A gate before this Redis, for the commands that count."""
    made = Gate(redis_url, counts)
    values.note(Kind.PORT, urlsplit(made.url).port)
    return made
