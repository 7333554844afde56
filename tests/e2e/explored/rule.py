"""What must hold after every schedule, whatever was killed, cut off or paused in it.

The invariants are those of docs/reference/failure-modes.md: never two kernels at work, the status
tells the truth, the run's record ends, a start is possible again within one lease, and what comes
late changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from explorer import Trace
from explorer.actors import Actor
from tests.e2e.explored.product import (
    LEASE,
    TIMEOUT,
    Answer,
    Product,
    WorkerActor,
    claims,
    finish,
    finishes,
)
from tests.e2e.runner import ENDED, wait_until

KERNEL_ENDS = 10.0  # seconds; the guard needs a moment of it

Runs = dict[str, dict[str, Any]]
Also = Callable[[Trace, Runs], None]


class Broken(Exception):
    """The rule that a schedule breaks, in words."""


def require(kept: object, fault: str) -> None:
    """Raise Broken unless it is kept."""
    if not kept:
        raise Broken(fault)


def nothing_else(trace: Trace, runs: Runs) -> None:
    """There is no further rule."""


class Rule:
    """Judges what came of a schedule, and counts the outcomes.

    `actors` are those of the schedule. `also` is what this schedule must fulfil, too. `forgets`:
    at some point Redis is emptied, so a run that had been told of may be unknown afterwards.
    """

    def __init__(
        self,
        product: Product,
        actors: Sequence[Actor],
        *,
        also: Also = nothing_else,
        forgets: bool = False,
    ) -> None:
        self.product, self.actors = product, actors
        self.also, self.forgets = also, forgets
        self.outcomes: Counter[str] = Counter()

    def __call__(self, trace: Trace) -> str | None:
        try:
            self._judge(trace)
        except Broken as broken:
            return str(broken)
        return None

    def _judge(self, trace: Trace) -> None:
        product = self.product
        paused = [one for one in self.actors if trace.outcome(one.name).state == "paused"]
        self._answers(trace)
        self._kernels_of_the_dead(trace)
        before = product.runs()
        self._at_most_one_is_active(before)
        if not self.forgets:
            self._are_known(trace, before)
            self._ended_as_told(trace, before)
        self.also(trace, before)
        # One lease later, a start is possible, and all runs of before have ended.
        product.data.advance(LEASE)
        answer = product.start()
        if self.forgets and answer.status == 503:  # the onlooker did not look in the meantime
            product.data.advance(LEASE)
            answer = product.start()
        require(answer.status == 202, f"one lease later a start is answered {answer}")
        new = str(answer.body["run_id"])
        old = {run_id: run for run_id, run in product.runs().items() if run_id != new}
        for run in old.values():
            require(run["status"] in ENDED, f"one lease later a run is still {run['status']}")
        self.outcomes[_told(trace, old)] += 1
        for run_id, run in before.items():
            ended = run["status"] in ENDED - {"LOST"}
            require(not ended or old.get(run_id) == run, f"a run that had ended was changed: {run}")
        if any(_in_a_run(trace, one) for one in paused):
            self._executed(new, paused)
        for one in paused:
            one.wake()
            finish(one, product.data)
        self._ends(new)
        after = product.runs()
        for run_id, run in old.items():
            require(after[run_id] == run, f"what came late has changed {run}: {after[run_id]}")
        self._totals(after)
        self._database(after)
        asleep = paused or any(step.event and not self.forgets for step in trace.steps)
        require(asleep or not product.overlaps(), "two kernels were at work at once")

    def _answers(self, trace: Trace) -> None:
        for one in trace.outcomes:
            require(one.state != "failed", f"{one.actor}: {one.result}")
            if isinstance(one.result, Answer):
                known = one.result.status in (202, 409, 503)
                require(known, f"{one.actor} answers {one.result}: {one.result.body}")
            idle = isinstance(self._actor(one.actor), WorkerActor) and not self.product.owed()
            require(one.state != "waits" or idle, f"{one.actor} waits for ever")

    def _actor(self, name: str) -> Actor:
        return next(actor for actor in self.actors if actor.name == name)

    def _kernels_of_the_dead(self, trace: Trace) -> None:
        for one in trace.outcomes:
            actor = self._actor(one.actor)
            if one.state == "killed" and isinstance(actor, WorkerActor):
                gone = f"the kernels of {one.actor}, which is dead, to end"
                wait_until(lambda a=actor: not a.worker.kernels(), gone, KERNEL_ENDS)  # type: ignore[misc]

    def _at_most_one_is_active(self, runs: Runs) -> None:
        active = [run_id for run_id, run in runs.items() if run["status"] not in ENDED]
        require(len(active) <= 1, f"{len(active)} runs are active at once")

    def _are_known(self, trace: Trace, runs: Runs) -> None:
        """GET /runs knows each run that an answer has named."""
        for one in trace.outcomes:
            if isinstance(one.result, Answer):
                named = one.result.body.get("run_id") or one.result.body.get("running")
                require(
                    not named or named in runs,
                    f"GET /runs does not know the run {named}, which an answer has named",
                )

    def _ended_as_told(self, trace: Trace, runs: Runs) -> None:
        """What a worker has told of its run is what the status says."""
        statuses = [run["status"] for run in runs.values()]
        for one in trace.outcomes:
            told = str(one.result)
            words = f"{one.actor} has told {told}, and the status is {', '.join(statuses)}"
            require(told not in ENDED or told in statuses, words)

    def _executed(self, run_id: str, paused: Sequence[Actor]) -> None:
        """A worker that is awake takes this run, and it succeeds."""
        for worker in self.product.workers:
            if all(worker.gate is not one.gate for one in paused):
                worker.gate.open()
        self._wait_for(run_id, "SUCCEEDED")

    def _ends(self, run_id: str) -> None:
        """The run that the rule has started is as it was; now it ends."""
        run = self.product.runs()[run_id]
        if run["status"] not in ENDED:
            require(run["status"] == "QUEUED", f"the next run is {run['status']}")
            answer = self.product.onlooker.call("POST", "/cancel")
            require(answer.status == 202, f"a cancel is answered {answer}")
            require(answer.body["run_id"] == run_id, "another run was cancelled")
        for worker in self.product.workers:
            worker.gate.open()
        if self.product.workers:  # the messages of runs that are over claim nothing
            claims = "all messages to be claimed"
            wait_until(lambda: not self.product.owed(), claims, TIMEOUT, every=0.005)

    def _wait_for(self, run_id: str, status: str) -> None:
        def ended() -> str | None:
            found = str(self.product.runs()[run_id]["status"])
            return found if found in ENDED else None

        found = wait_until(ended, f"{run_id} to end", TIMEOUT, every=0.03)
        require(found == status, f"the next run is {found}, not {status}")

    def _totals(self, runs: Runs) -> None:
        """Each run that has ended was counted once."""
        totals = cast("dict[bytes, bytes]", self.product.data.redis.hgetall("nb:totals"))
        counted = {name.decode(): int(count) for name, count in totals.items()}
        counted.pop("refused", None)
        ended = Counter(run["status"] for run in runs.values())
        require(counted == ended, f"counted: {counted}, and there are {dict(ended)}")

    def _database(self, runs: Runs) -> None:
        """No older run has written last, and the statuses tell which runs have written."""
        written = self.product.written()
        tokens = [token for _, token in written]
        require(tokens == sorted(set(tokens)), f"an older run has written last: {written}")
        for run_id, run in runs.items():
            wrote = run_id in dict(written)
            require(wrote or run["status"] != "SUCCEEDED", f"{run_id} SUCCEEDED, and wrote nothing")
            require(not wrote or run["started_at"], f"{run_id} was never claimed, and has written")
            require(run["status"] != "FAILED", f"a run FAILED: {run['error']}")


def _in_a_run(trace: Trace, actor: Actor) -> bool:
    """Whether it was stopped between the claim and the end of a run."""
    commands = [step.command for step in trace.steps if step.actor == actor.name]
    return any(map(claims, commands)) and not any(map(finishes, commands))


def _told(trace: Trace, runs: Runs) -> str:
    """The outcome of a schedule in words that do not depend on who was first."""
    ends = sorted(str(one) for one in trace.outcomes)
    return f"{', '.join(ends)}: {' and '.join(sorted(r['status'] for r in runs.values())) or '-'}"
