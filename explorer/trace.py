"""What happened in one schedule, as data."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from explorer.commands import Command
from explorer.resp import ErrorReply, Value

State = Literal["done", "failed", "waits", "killed", "paused"]

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")  # neither a terminal nor XML takes it
KEY = 28  # characters of a key that are shown
WORD = 9  # of any other word
TEXT = 72  # characters of a command or a reply


@dataclass(frozen=True)
class Step:
    """One command and what its sender saw; or an event, which has no reply."""

    actor: str
    command: Command
    reply: Value = None
    changed: bool | None = None  # whether the data is another afterwards; None: not known
    at: float = 0.0  # seconds since the schedule began
    event: bool = False
    answered: bool = True
    cut: bool = False  # the reply never reached its process

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys it is about; None: any."""
        return None if self.event else self.command.keys

    @property
    def wrote(self) -> bool:
        """Whether it changed the data, as far as can be known."""
        if self.command.takes and self.answered and not self.reply:
            return False  # it says so itself; others may have changed the data at the same time
        if self.changed is not None:
            return self.changed
        return bool(self.reply) if self.command.takes else not self.command.reads_only

    @property
    def asked(self) -> str:
        """The command in short."""
        if self.event:
            return self.command.words[0]
        parts = self.command.parts or (self.command,)
        return _shortened("; ".join(map(_asked, parts)), TEXT)

    @property
    def saw(self) -> str:
        """The reply in short; nothing for an event."""
        if self.event:
            return ""
        if self.cut:
            return "no answer"
        return _shortened(reply_text(self.reply), TEXT) if self.answered else "waits"


@dataclass(frozen=True)
class Outcome:
    """How the operation of an actor ended. `result` is what it returned or raised."""

    actor: str
    state: State
    result: object = None

    def __str__(self) -> str:
        return self.state if self.result is None else str(self.result)


@dataclass(frozen=True)
class Choice:
    """One decision: which actors could go on, and which one did."""

    chosen: str
    ready: tuple[str, ...]
    current: str | None  # the actor of the step before
    next: Command | None  # what `current` would have done
    steps: int = 0  # how many had been taken before

    @property
    def preempts(self) -> bool:
        """Whether it is a switch away from an actor that could go on."""
        return self.current in self.ready and self.chosen != self.current


@dataclass(frozen=True)
class Trace:
    """One schedule, and what came of it. `fault`: the rule that it breaks, in words."""

    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]
    choices: tuple[Choice, ...] = ()
    fault: str | None = None
    diverged: bool = False  # an actor was not ready where the plan wanted it to go on
    silent: bool = False  # an actor sent nothing for so long that others went on before it

    @property
    def preemptions(self) -> int:
        """How many switches there were away from an actor that could go on."""
        return sum(choice.preempts for choice in self.choices)

    @property
    def actors(self) -> tuple[str, ...]:
        """All actors and moments, those with an outcome first."""
        names = [outcome.actor for outcome in self.outcomes] + [step.actor for step in self.steps]
        return tuple(dict.fromkeys(names))

    @property
    def stuck(self) -> tuple[str, ...]:
        """The actors that wait, where no other can go on."""
        return tuple(outcome.actor for outcome in self.outcomes if outcome.state == "waits")

    def outcome(self, actor: str) -> Outcome:
        """How that actor's operation ended."""
        return next(outcome for outcome in self.outcomes if outcome.actor == actor)

    def as_data(self, sentence: str = "", telling: Sequence[int] = ()) -> dict[str, object]:
        """As JSON has it: lists, dictionaries, texts and numbers."""
        steps = [
            {
                "actor": step.actor,
                "command": step.asked,
                "keys": None if step.keys is None else list(step.keys),
                "reply": step.saw,
                "changed": step.changed,
                "at": round(step.at, 6),
                "event": step.event,
                "telling": number in telling,
            }
            for number, step in enumerate(self.steps)
        ]
        outcomes = [
            {"actor": one.actor, "state": one.state, "result": str(one)} for one in self.outcomes
        ]
        return {
            "fault": self.fault,
            "sentence": sentence,
            "preemptions": self.preemptions,
            "schedule": [choice.chosen for choice in self.choices],
            "steps": steps,
            "outcomes": outcomes,
        }

    def as_json(self, sentence: str = "", telling: Sequence[int] = ()) -> str:
        """The same as text."""
        return json.dumps(self.as_data(sentence, telling), indent=2, ensure_ascii=False)


def reply_text(reply: Value) -> str:
    """A reply in words."""
    match reply:
        case None:
            return "nothing"
        case bytes():
            return _shortened(reply.decode(errors="backslashreplace"), KEY) or '""'
        case ErrorReply():
            return f"error: {reply}"
        case list():
            return f"[{', '.join(map(reply_text, reply))}]"
    return str(reply)


def _asked(command: Command) -> str:
    keys = command.keys or ()
    name, *words = command.words
    return " ".join([name, *(_shortened(word, KEY if word in keys else WORD) for word in words)])


def _shortened(text: str, size: int) -> str:
    text = UNPRINTABLE.sub("·", " ".join(text.split()))
    return text if len(text) <= size else text[: size - 1] + "…"
