"""Recognises an actor that only waits: it asks the same again and again, and changes nothing."""

from collections.abc import Sequence

from explorer.commands import Command
from explorer.trace import Step

LONGEST = 6  # commands in one round of a loop
ROUNDS = 3  # after so many equal rounds it is a loop. Programs do read the same thing twice.


def loop(command: Command, steps: Sequence[Step]) -> Sequence[Step]:
    """The last round of the loop that `command` would begin anew; empty: there is none.

    To take what is taken is asked again only in order to wait. Everything else has to be asked
    several times, with the same answers, before it is waiting.
    """
    if steps and command.takes and not steps[-1].wrote and steps[-1].command == command:
        return steps[-1:]
    for length in range(1, LONGEST + 1):
        last = steps[-length:]
        if len(steps) < length * ROUNDS or last[0].command != command:
            continue
        rounds = [steps[-length * n : len(steps) - length * (n - 1)] for n in range(1, ROUNDS + 1)]
        if not any(step.wrote for step in last) and all(
            _told(one) == _told(last) for one in rounds
        ):
            return last
    return ()


def _told(steps: Sequence[Step]) -> list[tuple[Command, object]]:
    return [(step.command, step.reply) for step in steps]
