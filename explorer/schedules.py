"""Tries all schedules with few preemptions.

A preemption is a switch away from an actor that could go on. Most faults need one or two of them,
and the schedules with so few can all be tried: M. Musuvathi and S. Qadeer, "Iterative context
bounding for systematic testing of multithreaded programs", PLDI 2007. The search keeps no states:
it plays the first choices of a schedule again, and lets the rest run.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from explorer.commands import shape
from explorer.data import Data
from explorer.findings import Finding, find
from explorer.moments import Moment
from explorer.play import Rule, play_once
from explorer.players import Player
from explorer.reduction import Plan, Reduction
from explorer.trace import Choice, Trace

PREEMPTIONS = 2
SHORTEN = 12  # schedules that are played in search of a shorter one that fails, too


@dataclass
class Report:
    """What the search has found. `failing`: the shortest schedule that breaks the rule."""

    schedules: int = 0
    seconds: float = 0.0
    complete: bool = False  # whether all schedules within the bound were tried
    diverged: int = 0  # schedules that could not be played as planned
    silent: int = 0  # schedules in which an actor was not waited for: its turn may have been missed
    stuck: int = 0  # schedules that ended with actors that wait for ever
    failing: Trace | None = None
    again: bool = False  # whether it failed again when it was played again

    @property
    def finding(self) -> Finding | None:
        """What the failing schedule shows."""
        return None if self.failing is None else find(self.failing)


class Search:
    """The schedules that are still to be played, those with the fewest preemptions first."""

    def __init__(
        self, preemptions: int, moments: Collection[str] = (), alike: Sequence[str] = ()
    ) -> None:
        self._moments, self._alike = moments, alike
        self._plans: list[deque[Plan]] = [deque() for _ in range(preemptions + 1)]
        self._plans[0].append(())
        # Put off: a switch right before a step that no other actor notices is the same schedule
        # as the switch right after it.
        self._put_off: list[tuple[frozenset[str], Plan]] = []
        self._users: dict[str, dict[str, bool]] = {}  # by key and actor: does it write?
        self._reduction = Reduction()

    def __iter__(self) -> Iterator[Plan]:
        while plans := next((plans for plans in self._plans if plans), None):
            plan = plans.popleft()
            if not self._reduction.covers(plan):
                yield plan
                continue
            for other in self._reduction.go_on(plan, self._later(plan)):
                self._queue(other)

    def learn(self, trace: Trace, planned: int) -> None:
        """Add the schedules that leave this one after the `planned` first choices."""
        self._note_keys(trace)
        self._reduction.learn(trace, planned)
        for number in range(planned, len(trace.choices)):
            choice = trace.choices[number]
            later = self._later(trace.choices[:number])
            for other in choice.ready:
                if other != choice.chosen and other not in later:
                    change = Choice(other, choice.ready, choice.current, choice.next)
                    self._add((*trace.choices[:number], change))
        waiting, self._put_off = self._put_off, []
        for keys, plan in waiting:
            self._file(keys, plan)

    def _later(self, before: Sequence[Choice]) -> Sequence[str]:
        """Those of the alike that have not begun, but the first, which begins in their place."""
        begun = {choice.chosen for choice in before}
        return [name for name in self._alike if name not in begun][1:]

    def _add(self, plan: Plan) -> None:
        change = plan[-1]
        keys = None
        if change.preempts and change.next is not None and change.chosen not in self._moments:
            keys = change.next.keys
        if keys is None:
            self._queue(plan)
        else:
            self._file(frozenset(map(shape, keys)), plan)

    def _file(self, keys: frozenset[str], plan: Plan) -> None:
        if any(map(self._shared, keys)):
            self._queue(plan)
        else:
            self._put_off.append((keys, plan))

    def _queue(self, plan: Plan) -> None:
        preemptions = sum(choice.preempts for choice in plan)
        if preemptions < len(self._plans):
            self._plans[preemptions].append(plan)

    def _note_keys(self, trace: Trace) -> None:
        for step in trace.steps:
            for key in map(shape, step.keys or ()):
                users = self._users.setdefault(key, {})
                # What one does, another that is alike does in the schedule that is not played.
                for actor in self._alike if step.actor in self._alike else [step.actor]:
                    users[actor] = users.get(actor, False) or step.wrote

    def _shared(self, key: str) -> bool:
        users = self._users.get(key, {})
        return len(users) > 1 and any(users.values())


def explore(
    players: Sequence[Player],
    data: Data,
    *,
    reset: Callable[[], object],
    rule: Rule,
    preemptions: int = PREEMPTIONS,
    alike: Sequence[Player] = (),
    tried: Callable[[Trace], object] = lambda _: None,
) -> Report:
    """Play all schedules with at most so many preemptions, until one breaks the rule.

    `reset` makes everything as it was before, and `rule` says what is wrong with a schedule, or
    None. `alike` are actors that do the same, so of those that have not begun the first one begins:
    the others would give the same schedules under other names. `tried` is called with each one. The
    one that fails is played again, to be sure, and a few others with it, so that the report has the
    shortest.
    """
    report, began = Report(), monotonic()
    moments = [one.name for one in players if isinstance(one, Moment)]
    search = Search(preemptions, moments, [one.name for one in alike])
    left = SHORTEN
    for plan in search:
        trace = play_once(players, data, reset, rule, plan)
        tried(trace)
        report.schedules += 1
        report.diverged += trace.diverged
        report.silent += trace.silent
        report.stuck += bool(trace.stuck)
        search.learn(trace, len(plan))
        if trace.fault is not None:
            report.failing = min(report.failing or trace, trace, key=_length)
        if report.failing is not None:
            left -= 1
            if not left or trace.preemptions > report.failing.preemptions:
                break
    else:
        report.complete = report.failing is None
    if report.failing is not None:
        again = play_once(players, data, reset, rule, report.failing.choices)
        report.again = again.fault is not None
    report.seconds = monotonic() - began
    return report


def _length(trace: Trace) -> tuple[int, int, int]:
    return trace.preemptions, len(find(trace).steps), len(trace.steps)
