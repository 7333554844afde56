"""Tries all crash points of one operation: after each of its commands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from explorer.actors import Actor
from explorer.data import Data
from explorer.play import LIMIT, Play, Rule, let_go
from explorer.trace import Outcome, Trace

Way = Literal["kill", "cut", "pause"]
STATES: dict[Way, Literal["killed", "paused"]] = {"kill": "killed", "pause": "paused"}


@dataclass(frozen=True)
class Point:
    """One crash point: what happened to the actor, after how many commands, and what came of it."""

    way: Way
    after: int
    trace: Trace

    @property
    def fault(self) -> str | None:
        """What is wrong, in words."""
        return self.trace.fault

    def as_data(self) -> dict[str, object]:
        """As JSON has it."""
        return {"way": self.way, "after": self.after, **self.trace.as_data()}


def crash_points(
    actor: Actor,
    data: Data,
    *,
    reset: Callable[[], object],
    rule: Rule,
    ways: Sequence[Way] = ("kill", "cut"),
) -> list[Point]:
    """Perform the operation again and again, and let it crash after each of its commands.

    - kill: SIGKILL for its process and all the children of that.
    - cut: its command reaches Redis, and the connection is cut before the answer. It goes on.
    - pause: SIGSTOP; it is woken when the rule has spoken.

    `reset` makes everything as it was before, and starts the process again where it was killed.
    `rule` says what is wrong after the crash: it may let time pass (`data.advance`) and start the
    next operation.
    """
    points = []
    for way in ways:
        number, last = (1 if way == "cut" else 0), False
        while True:
            reset()
            game = Play([actor], data, ())
            game.start()
            crashed = _crash(game, actor, way, number, last)
            if crashed:
                points.append(Point(way, number, _judged(game.trace(), actor, way, rule)))
            if crashed and way == "pause":
                actor.wake()
            let_go([actor], reset)
            if last or (way == "cut" and not crashed):
                break
            # Beyond its last command nothing holds it: there it crashes before it sees the answer.
            last = not crashed
            number += crashed
    return points


def _crash(game: Play, actor: Actor, way: Way, number: int, last: bool) -> bool:
    """Let it crash after so many commands. False: it has ended before."""
    game.go(number - 1 if last or way == "cut" else number)
    actor.settle(LIMIT)
    if actor.next is None:
        return False
    if way == "cut":
        actor.cut()
        game.go()
        return True
    if last:
        actor.pause()
        game.go(1)
    if way == "kill":
        actor.kill()
    else:
        actor.pause()
    return True


def _judged(trace: Trace, actor: Actor, way: Way, rule: Rule) -> Trace:
    if way in STATES:
        trace = replace(trace, outcomes=(Outcome(actor.name, STATES[way]),))
    return replace(trace, fault=rule(trace))
