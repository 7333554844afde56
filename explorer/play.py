"""Plays one schedule with real processes, and writes down what happens."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from explorer.data import Data
from explorer.players import Player
from explorer.trace import Choice, Step, Trace

Rule = Callable[[Trace], str | None]  # what is wrong, in words; None: nothing is

SILENCE_TIMEOUT = 10.0  # seconds of silence after which others may go on before an actor
GIVE_UP_TIMEOUT = 30.0  # seconds of silence after which no player is expected to go on any more
WAKE = 0.02  # seconds in which Redis wakes those that wait for what has just been written
TRIES = 7  # steps that each may take, when all wait, to show that it does not only wait


class DoesNotEnd(RuntimeError):
    """An operation goes on although it is held no longer and all data has been reset."""


class Play:
    """One schedule: the choices of `plan` first, then the current player goes on while it can."""

    def __init__(self, players: Sequence[Player], data: Data, plan: Sequence[Choice]) -> None:
        self.players, self.data, self.plan = players, data, plan
        self.steps: list[Step] = []
        self.choices: list[Choice] = []
        self.diverged = self.silent = False
        self._unanswered: dict[str, Step] = {}  # by actor: what Redis has not answered yet
        self._began = monotonic()
        self._current: Player | None = None

    def start(self) -> None:
        """Start all; each stands before its first command."""
        for player in self.players:
            player.start()

    def go(self, steps: int | None = None) -> None:
        """Play so many steps, or until all have ended or no player can go on."""
        end = None if steps is None else len(self.steps) + steps
        while end is None or len(self.steps) < end:
            chosen = self._planned() or self._free()
            if chosen is not None:
                self._let(chosen)
            elif all(player.ended for player in self.players) or not self._patient():
                break

    def alone(self, player: Player) -> None:
        """Start one more player, and let no other go on until it has ended or cannot go on."""
        others, self.players = self.players, [player]
        player.start()
        self.go()
        self.players = [*others, player]

    def trace(self) -> Trace:
        """What has happened until now."""
        outcomes = [outcome for player in self.players if (outcome := player.outcome())]
        steps = (*self.steps, *self._unanswered.values())
        return Trace(
            steps,
            tuple(outcomes),
            tuple(self.choices),
            diverged=self.diverged,
            silent=self.silent,
        )

    def _planned(self) -> Player | None:
        """The one that the plan names, if it can go on."""
        number = len(self.choices)
        if number >= len(self.plan):
            return None
        choice = self.plan[number]
        chosen = next(player for player in self.players if player.name == choice.chosen)
        if self._current is not None:  # as when the plan was made: it may be at its end
            self._current.settle(SILENCE_TIMEOUT)
        chosen.settle(GIVE_UP_TIMEOUT)
        if not chosen.ready(self.data) and not (self._patient() and chosen.ready(self.data)):
            self.diverged = True
            self.plan = self.plan[:number]
            return None
        self.choices.append(replace(choice, steps=len(self.steps)))
        return chosen

    def _free(self) -> Player | None:
        """The one that is at it, if it can go on; else the first that can."""
        settled = [player.settle(SILENCE_TIMEOUT) for player in self.players]
        self.silent = self.silent or not all(settled)
        ready = [player for player in self.players if player.ready(self.data)]
        if not ready:
            return None
        chosen = self._current if self._current in ready else ready[0]
        assert chosen is not None
        names = tuple(player.name for player in ready)
        before = self._current
        current = before.name if before else None
        following = before.next if before else None
        self.choices.append(Choice(chosen.name, names, current, following, len(self.steps)))
        return chosen

    def _patient(self) -> bool:
        """Wait for the silent ones, and see whether the others only wait: can one go on now?"""
        alive = [player for player in self.players if not player.ended]
        for player in alive:
            player.settle(GIVE_UP_TIMEOUT)
            self._wake(player, WAKE)
            if player.ended or player.ready(self.data):
                return True
        for player in alive:
            for _ in range(TRIES):
                if player.next is None or self._let(player) is None:
                    break
                player.settle(SILENCE_TIMEOUT)
                if player.ended or player.ready(self.data):
                    return True
        return False

    def _let(self, chosen: Player) -> Step | None:
        self._current = chosen
        step = chosen.take(self.data, self._began, SILENCE_TIMEOUT)
        if step is None:
            return None
        if step.answered:
            self.steps.append(step)
        else:
            self._unanswered[chosen.name] = step
        for other in self.players:
            if other is not chosen:
                self._wake(other, WAKE if step.wrote or step.event else 0)
        return step

    def _wake(self, player: Player, seconds: float) -> None:
        step = player.woken(self.data, self._began, seconds)
        if step is not None:
            self.steps.append(step)
            del self._unanswered[player.name]


def play_once(
    players: Sequence[Player],
    data: Data,
    reset: Callable[[], object],
    rule: Rule,
    plan: Sequence[Choice] = (),
) -> Trace:
    """Reset, play one schedule, ask the rule, and let all operations end."""
    reset()
    game = Play(players, data, plan)
    game.start()
    game.go()
    trace = game.trace()
    trace = replace(trace, fault=rule(trace))
    let_go(players, reset)
    return trace


def attempt(player: Player, data: Data, clear: Callable[[], object]) -> Trace:
    """Let one operation be performed alone, on the data as they are.

    Its outcome `waits` when it could only go on if others did. Then `clear` sets it free.
    """
    game = Play([player], data, ())
    game.start()
    game.go()
    trace = game.trace()
    let_go([player], clear)
    return trace


def let_go(players: Sequence[Player], reset: Callable[[], object]) -> None:
    """Hold no player any more, and wait until all have ended."""
    for player in players:
        player.release()
    waiting = [player for player in players if player.outcome() and not player.ended]
    if waiting:
        reset()  # what they wait for is gone
    late = [player.name for player in waiting if not player.end(GIVE_UP_TIMEOUT)]
    if late:
        raise DoesNotEnd(f"{', '.join(late)}: still at it after {GIVE_UP_TIMEOUT:g} s")
