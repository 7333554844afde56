"""Tries all crash points of one operation: after each of its commands."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from explorer.actors import Actor
from explorer.commands import SCRIPTS, Command, shape
from explorer.data import Data
from explorer.play import GIVE_UP_TIMEOUT, Play, Rule, let_go
from explorer.players import Player
from explorer.trace import Outcome, Step, Trace

Way = Literal["kill", "cut", "pause"]
Form = Callable[[Command], Hashable]
OFTEN = 3  # a command that comes more often for one operation is a heartbeat's
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


def form_of(command: Command) -> tuple[str, ...]:
    """What a command is, without its values."""
    script = command.words[1:2] if command.name in SCRIPTS else ()
    return (command.name, *script, *map(shape, command.keys or ()))


@dataclass(frozen=True)
class Place:
    """Where an operation stands: before this command, which it has sent `times` times before.

    The heartbeat of a worker sends commands of its own between those of its work, at any time. So
    the number of commands alone does not tell where the work stands.
    """

    command: Hashable
    times: int

    @classmethod
    def before(cls, command: Command, steps: Sequence[Step], form: Form = form_of) -> "Place":
        """The place before this command, after these steps. `form` tells commands apart."""
        asked = form(command)
        return cls(asked, [form(step.command) for step in steps].count(asked))


def crash_points(
    actor: Actor,
    data: Data,
    *,
    reset: Callable[[], object],
    rule: Rule,
    ways: Sequence[Way] = ("kill", "cut"),
    meanwhile: Sequence[Player] = (),
    woken: Rule | None = None,
    form: Form = form_of,
) -> list[Point]:
    """Perform the operation again and again, and let it crash after each of its commands.

    - kill: SIGKILL for its process and all the children of that.
    - cut: its command reaches Redis, and the connection is cut before the answer. It goes on.
    - pause: SIGSTOP; it is woken when the rule has spoken.

    `reset` makes everything as it was before, and starts the process again where it was killed.
    `meanwhile` are performed after the crash, one after the other. Then `rule` says what is wrong:
    it may let time pass (`data.advance`) and start the next operation. With `woken`, a process that
    was paused goes on to its end after that, and `woken` says what is wrong then. `form` tells
    commands apart, where one script does several things.
    """
    return [
        point
        for way in ways
        for point in _Points(actor, data, way, reset, rule, meanwhile, woken, form).all()
    ]


@dataclass
class _Points:
    """The crash points of one way."""

    actor: Actor
    data: Data
    way: Way
    reset: Callable[[], object]
    rule: Rule
    meanwhile: Sequence[Player]
    woken: Rule | None
    form: Form

    def all(self) -> list[Point]:
        """Each place once, and then the one behind the last command. Nothing holds the actor there,
        so it is stopped before it can see the answer.
        """
        points: list[Point] = []
        tried: set[Place] = set()
        while True:
            game = self._begin()
            place = self._go(game, lambda place: place not in tried and place.times < OFTEN)
            if place is None:
                break
            tried.add(place)
            points.append(self._point(game))
        last = self._before_last(game)
        self._end(game)
        if last is not None and self.way != "cut":
            game = self._begin()
            self._go(game, lambda place: place == last)
            self.actor.pause()
            game.go(1)
            points.append(self._point(game))
        return points

    def _begin(self) -> Play:
        self.reset()
        game = Play([self.actor], self.data, ())
        game.start()
        return game

    def _go(self, game: Play, there: Callable[[Place], bool]) -> Place | None:
        """Let it go on until it stands at such a place. None: it has ended."""
        while True:
            self.actor.settle(GIVE_UP_TIMEOUT)
            command = self.actor.next
            if command is None:
                return None
            place = Place.before(command, game.steps, self.form)
            if there(place):
                return place
            game.go(1)

    def _before_last(self, game: Play) -> Place | None:
        if not game.steps:
            return None
        return Place.before(game.steps[-1].command, game.steps[:-1], self.form)

    def _point(self, game: Play) -> Point:
        """Let it crash where it stands, and judge what comes of it."""
        after = len(game.steps)
        if self.way == "cut":
            after += 1
            self.actor.cut()
            game.go()
        elif self.way == "kill":
            self.actor.kill()
        else:
            self.actor.pause()
        for player in self.meanwhile:
            game.alone(player)
        trace = game.trace()
        if self.way in STATES:
            crashed = Outcome(self.actor.name, STATES[self.way])
            trace = replace(trace, outcomes=(crashed, *trace.outcomes[1:]))
        trace = replace(trace, fault=self.rule(trace))
        if self.way == "pause":
            self.actor.wake()
            if self.woken is not None and trace.fault is None:
                game.go()
                trace = game.trace()
                trace = replace(trace, fault=self.woken(trace))
        self._end(game)
        return Point(self.way, after, trace)

    def _end(self, game: Play) -> None:
        let_go(game.players, self.reset)
