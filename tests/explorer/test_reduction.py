"""What is not played would have shown nothing new."""

from collections.abc import Iterator
from itertools import groupby

import pytest

from explorer import Data, Trace, explore
from explorer.commands import shape
from explorer.reduction import Reduction
from tests.explorer.conftest import Program

FEWER = ["lock_around_both", "lock_around_the_look", "expires_in_a_second_command"]
AS_MANY = ["look_then_write", "deletes_whoever_holds_it", "deletes_its_own", "transaction"]
STAGES = "goes_through_stages"


def seen(trace: Trace) -> frozenset[tuple[object, ...]]:
    """What each actor asked and saw, and how it ended. Asking again in vain is not more."""
    return frozenset(
        (
            outcome.actor,
            str(outcome),
            *(one for one, _ in groupby(_asked_and_seen(trace, outcome.actor))),
        )
        for outcome in trace.outcomes
    )


def _asked_and_seen(trace: Trace, actor: str) -> Iterator[tuple[str, str]]:
    for step in trace.steps:
        if step.actor == actor:
            yield shape(step.asked), shape(step.saw)


def all_of(programs: list[Program], data: Data, *names: str, bound: int) -> list[Trace]:
    tried: list[Trace] = []
    actors = [program.does(name) for program, name in zip(programs, names, strict=False)]
    report = explore(
        actors,
        data,
        reset=data.redis.flushdb,
        rule=lambda _: None,
        preemptions=bound,
        tried=tried.append,
    )
    assert (report.diverged, report.silent, report.complete) == (0, 0, True)
    return tried


@pytest.mark.parametrize(
    ("names", "bound"),
    [
        *(([name] * 2, 2) for name in (*FEWER, *AS_MANY)),
        *(([name] * 3, 1) for name in (*FEWER, *AS_MANY)),
        ([STAGES, "asks_for_the_stage"], 1),  # each step of one is noticed by the other
        ([STAGES, "says_that_it_has_seen", "asks_for_both"], 1),  # the third notices the order
    ],
    ids=lambda names: "-".join(names) if isinstance(names, list) else None,
)
def test_what_is_not_played_shows_nothing_new(
    names: list[str],
    bound: int,
    programs: list[Program],
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = all_of(programs, data, *names, bound=bound)
    monkeypatch.setattr(Reduction, "covers", lambda *_: False)
    every = all_of(programs, data, *names, bound=bound)
    assert {seen(trace) for trace in some} == {seen(trace) for trace in every}
    assert len(some) < len(every) if names[0] in FEWER else len(some) <= len(every)
