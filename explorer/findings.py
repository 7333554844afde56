"""What a failing schedule shows: the steps that tell it, and the sentence that follows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from explorer.trace import Step, Trace, reply_text


@dataclass(frozen=True)
class Finding:
    """`steps`: numbers of the steps that tell it. `kind` names the pattern they follow."""

    kind: str
    sentence: str
    steps: tuple[int, ...]


def find(trace: Trace) -> Finding:
    """What the schedule shows. Each pattern is looked for in the data; the first one counts."""
    for pattern in (_taken_twice, _both_looked, _never_ends, _stuck, _nobody_looked):
        if (finding := pattern(trace)) is not None:
            return finding
    sentence = f"In this order: {trace.fault}" if trace.fault else "In this order the rule is kept."
    return Finding("order", sentence, tuple(_essence(trace.steps)))


def _taken_twice(trace: Trace) -> Finding | None:
    """A key that is written only where there is none was there for one, then for another."""
    steps = trace.steps
    taken = [n for n, step in enumerate(steps) if step.command.takes and step.wrote]
    for first, second in combinations(taken, 2):
        holder, taker = steps[first].actor, steps[second].actor
        key = steps[first].command.words[1]
        if holder == taker or key != steps[second].command.words[1]:
            continue
        between = range(first + 1, second)
        gone = [n for n in between if _removes(steps[n], key)]
        if gone and steps[gone[-1]].actor != holder:
            loser = steps[gone[-1]].actor
            own = [n for n in between if steps[n].actor == loser and key in (steps[n].keys or ())]
            return Finding(
                "deleted by another",
                f"{loser} deleted {key}, which {holder} held: so {taker} took it, too.",
                (first, *own, second),
            )
        events = [n for n in between if steps[n].event]
        later = [n for n in range(second + 1, len(steps)) if steps[n].actor == holder]
        if not gone and events:
            ended = f"The key {key} of {holder} ended by itself"
            if later:
                ended = f"The key {key} ended while {holder} was at work"
            sentence = f"{ended}: so {taker} took it, too."
            return Finding("ended too early", sentence, (first, *events, second, *later[:1]))
    return None


def _both_looked(trace: Trace) -> Finding | None:
    """One looked, another wrote, and the first wrote what it had decided before."""
    steps = trace.steps
    for one, key, look, write in _decisions(steps):
        between = range(look + 1, write)
        others = [n for n in between if steps[n].actor != one and _writes(steps[n], key)]
        for other in others:
            rival = steps[other].actor
            same = [
                n
                for n in range(other)
                if steps[n].actor == rival and _looks(steps[n], key)
                if _seen(steps[n]) == _seen(steps[look])
            ]
            if same:
                early, late = sorted((look, same[-1]))
                return Finding(
                    "both looked",
                    f"{steps[late].actor} looked at {key} before {steps[early].actor} had "
                    f"written: both saw {_seen(steps[look])}.",
                    tuple(sorted((look, same[-1], other, write))),
                )
        if others:
            sentence = f"{one} looked at {key}, then {steps[others[0]].actor} wrote it: "
            sentence += f"{one} went on with what it had seen before."
            return Finding("looked too early", sentence, (look, others[0], write))
    return None


def _decisions(steps: Sequence[Step]) -> Iterator[tuple[str, str, int, int]]:
    """Who looked at which key, and wrote it later: the last look before each write."""
    for write, step in enumerate(steps):
        for key in step.keys or ():
            looks = [
                n for n in range(write) if steps[n].actor == step.actor and _looks(steps[n], key)
            ]
            if looks and step.wrote:
                yield step.actor, key, looks[-1], write


def _never_ends(trace: Trace) -> Finding | None:
    """An actor took a key and was killed, or its answer was lost; and nothing ends that key."""
    dead = {one.actor: one.state for one in trace.outcomes if one.state in ("killed", "paused")}
    for number, step in enumerate(trace.steps):
        if not (step.command.takes and step.wrote and (step.cut or step.actor in dead)):
            continue
        key = step.command.words[1]
        ends = step.command.options & {"EX", "PX", "EXAT", "PXAT"}
        if not ends and not any(_writes(one, key) for one in trace.steps[number + 1 :]):
            took = f"{step.command.name} {key}"
            what = f"was {dead[step.actor]} after {took}" if step.actor in dead else ""
            what = what or f"never heard that {took} had worked"
            return Finding("never ends", f"{step.actor} {what}: nothing ends that key.", (number,))
    return None


def _stuck(trace: Trace) -> Finding | None:
    """All actors that have not ended wait."""
    if not trace.stuck:
        return None
    last = [max(n for n, s in enumerate(trace.steps) if s.actor == one) for one in trace.stuck]
    keys = dict.fromkeys(key for n in last for key in trace.steps[n].keys or ())
    told = [n for n, s in enumerate(trace.steps) if s.wrote and set(s.keys or ()) & set(keys)]
    sentence = f"{' and '.join(trace.stuck)} waits for {', '.join(keys)}, and nobody can go on."
    if len(trace.stuck) > 1:
        sentence = sentence.replace(" waits ", " wait ")
    return Finding("stuck", sentence, tuple(sorted({*told, *last})))


def _nobody_looked(trace: Trace) -> Finding | None:
    """All wrote, and none looked at what another had written."""
    if trace.fault is None:
        return None
    wrote = list(dict.fromkeys(step.actor for step in trace.steps if step.wrote and not step.event))
    looked = any(
        step.command.looks and set(step.keys or ()) & set(other.keys or ())
        for step, other in permutations(trace.steps, 2)
        if step.actor != other.actor and other.wrote
    )
    unknown = any(step.keys is None and not step.event for step in trace.steps)
    if looked or unknown or len(wrote) < 2:
        return None
    steps = tuple(n for n, step in enumerate(trace.steps) if step.wrote and not step.event)
    sentence = f"{' and '.join(wrote)} wrote, and none of them looked at what another had written."
    return Finding("nobody looked", sentence, steps)


def _essence(steps: Sequence[Step]) -> Iterator[int]:
    """The steps that another actor could notice, or that notice another actor."""
    matter = {
        number
        for (n, one), (m, other) in permutations(enumerate(steps), 2)
        if one.actor != other.actor and one.wrote and other.command.looks
        if set(one.keys or ()) & set(other.keys or ())
        for number in (n, m)
    }
    for number, step in enumerate(steps):
        if number in matter or step.keys is None:
            yield number


def _writes(step: Step, key: str) -> bool:
    return step.wrote and key in (step.keys or ())


def _removes(step: Step, key: str) -> bool:
    return step.command.deletes and _writes(step, key)


def _looks(step: Step, key: str) -> bool:
    return step.command.reads_only and key in (step.keys or ())


def _seen(step: Step) -> str:
    if step.reply in (None, 0, b"", []):
        return "nothing"
    return reply_text(step.reply)
