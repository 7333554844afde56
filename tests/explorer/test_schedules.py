"""All schedules of tiny programs: the wrong ones are found, with a short schedule."""

import time
from collections.abc import Callable, Sequence

import pytest

from explorer import Actor, Data, Moment, Report, Trace, explore, play_once, time_passes
from explorer.findings import find
from tests.explorer.conftest import Program

AT_MOST = 6  # steps that tell what is wrong


def one_at_a_time(trace: Trace) -> str | None:
    """The rule of all these programs."""
    started = [outcome.actor for outcome in trace.outcomes if outcome.result == "started"]
    return f"{' and '.join(started)} have started" if len(started) != 1 else None


def try_all(
    programs: Sequence[Program], data: Data, *names: str, after: float = 0, bound: int = 2
) -> Report:
    """Each process performs the program of that name. `after`: time may pass once, at any point."""
    actors = [program.does(name) for program, name in zip(programs, names, strict=False)]
    moments: list[Moment] = [time_passes(data, after)] if after else []
    return explore(
        [*actors, *moments], data, reset=data.redis.flushdb, rule=one_at_a_time, preemptions=bound
    )


@pytest.mark.parametrize(
    ("name", "processes"),
    [
        ("set_nx", 2),
        ("set_nx", 3),
        ("lock_around_both", 2),
        ("deletes_its_own", 3),
        ("transaction", 2),
        ("deletes_whoever_holds_it", 2),  # its fault needs a third one
    ],
)
def test_a_right_one_passes_every_schedule(
    name: str, processes: int, programs: list[Program], data: Data
) -> None:
    report = try_all(programs, data, *[name] * processes)
    assert report.failing is None and report.complete, report.finding
    assert (report.stuck, report.diverged) == (0, 0)
    assert report.schedules >= 2


@pytest.mark.parametrize(
    ("name", "processes", "after", "kind", "sentence"),
    [
        (
            "look_then_write", 2, 0, "both looked",
            "Bob looked at current before Ada had written: both saw nothing.",
        ),
        (
            "looks_twice", 2, 0, "both looked",
            "Bob looked at current before Ada had written: both saw nothing.",
        ),
        (
            "lock_around_the_look", 2, 0, "both looked",
            "Bob looked at current before Ada had written: both saw nothing.",
        ),
        (
            "deletes_whoever_holds_it", 3, 0, "deleted by another",
            "deleted lock, which",
        ),
        (
            "deletes_its_own", 2, 11, "ended too early",
            "The key lock ended while",
        ),
    ],
)  # fmt: skip
def test_a_wrong_one_fails_with_a_short_schedule(
    name: str,
    processes: int,
    after: float,
    kind: str,
    sentence: str,
    programs: list[Program],
    data: Data,
) -> None:
    report = try_all(programs, data, *[name] * processes, after=after)
    assert report.failing is not None and report.finding is not None
    assert report.again, "it failed once, and not when it was played again"
    assert report.failing.preemptions <= 2
    assert report.finding.kind == kind
    assert sentence in report.finding.sentence
    assert len(report.finding.steps) <= AT_MOST


def test_actors_that_do_the_same_are_not_exchanged(programs: list[Program], data: Data) -> None:
    def tried(name: str, *, alike: bool) -> Report:
        actors = [program.does(name) for program in programs[:2]]
        return explore(
            actors,
            data,
            reset=data.redis.flushdb,
            rule=one_at_a_time,
            alike=actors if alike else [],
        )

    every, half = tried("set_nx", alike=False), tried("set_nx", alike=True)
    assert every.complete and half.complete
    assert half.schedules < every.schedules
    assert tried("look_then_write", alike=True).failing is not None


def test_no_fault_is_found_where_no_preemption_is_allowed(
    programs: list[Program], data: Data
) -> None:
    report = try_all(programs, data, "look_then_write", "look_then_write", bound=0)
    assert report.complete and report.schedules == 2


def test_a_lock_that_outlasts_the_time_that_passes_is_right(
    programs: list[Program], data: Data
) -> None:
    report = try_all(programs, data, "deletes_its_own", "deletes_its_own", after=9)
    assert report.complete and report.schedules > 10


def test_one_that_waits_for_the_lock_is_not_waited_for(programs: list[Program], data: Data) -> None:
    tried: list[Trace] = []
    actors = [program.does("lock_around_both") for program in programs[:2]]
    explore(actors, data, reset=data.redis.flushdb, rule=one_at_a_time, tried=tried.append)
    waited = [trace for trace in tried if sum(step.command.takes for step in trace.steps) > 2]
    assert waited, "in no schedule did one find the lock taken"
    assert max(sum(step.command.takes for step in trace.steps) for trace in tried) == 3


def test_one_that_redis_lets_wait_is_woken_by_the_other(
    programs: list[Program], data: Data
) -> None:
    actors = [programs[0].does("waits_for_a_word"), programs[1].does("says_a_word")]
    tried: list[Trace] = []
    report = explore(
        actors, data, reset=data.redis.flushdb, rule=lambda _: None, tried=tried.append
    )
    assert report.complete and report.stuck == 0
    assert {str(trace.outcome("Ada")) for trace in tried} == {"('word', 'hello')"}


def test_that_all_wait_is_told(programs: list[Program], data: Data) -> None:
    actors = [program.does("takes_and_keeps") for program in programs[:2]]
    report = explore(
        actors,
        data,
        reset=data.redis.flushdb,
        rule=lambda trace: "it waits for ever" if trace.stuck else None,
    )
    assert report.failing is not None and report.again
    assert report.failing.stuck == ("Bob",)
    assert find(report.failing).sentence == "Bob waits for lock, and nobody can go on."


def test_a_step_that_nobody_can_notice_is_no_place_to_switch(
    programs: list[Program], data: Data
) -> None:
    """Otherwise each of their ten commands would be one."""
    actors = [program.does("writes_its_own_keys") for program in programs[:2]]
    report = explore(actors, data, reset=data.redis.flushdb, rule=lambda _: None)
    assert report.complete and report.schedules == 2


@pytest.mark.parametrize(
    ("name", "right"),
    [("lock_around_both", True), ("transaction", True), ("lock_around_the_look", False)],
)
def test_a_redis_that_does_not_count_its_changes_will_do(
    name: str, right: bool, programs: list[Program], data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "changes", lambda: None)
    report = try_all(programs, data, name, name)
    assert report.complete is right and report.stuck == 0
    if not right:
        assert report.finding is not None and report.finding.kind == "both looked"


def test_one_that_sends_nothing_for_long_is_not_waited_for_and_counted(
    programs: list[Program], data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.play.SILENCE_TIMEOUT", 0.05)
    actors = [programs[0].does("works_for_long"), programs[1].does("set_nx")]
    report = explore(actors, data, reset=data.redis.flushdb, rule=one_at_a_time)
    assert report.complete and report.silent > 0


def test_a_script_that_redis_does_not_know_yet_is_no_step(
    programs: list[Program], data: Data
) -> None:
    tried: list[Trace] = []

    def reset() -> None:
        data.redis.flushdb()
        data.redis.script_flush()

    explore(
        [programs[0].does("lock_around_both")],
        data,
        reset=reset,
        rule=one_at_a_time,
        tried=tried.append,
    )
    names = [step.command.name for step in tried[0].steps]
    assert names == ["SET", "GET", "SET", "EVALSHA"]
    assert tried[0].steps[-1].reply == 1


def test_one_that_waited_may_go_on_as_soon_as_the_lock_is_free(
    programs: list[Program], data: Data
) -> None:
    tried: list[Trace] = []
    actors = [program.does("lock_around_the_look") for program in programs[:2]]
    explore(actors, data, reset=data.redis.flushdb, rule=lambda _: None, tried=tried.append)

    def overtakes(trace: Trace) -> bool:
        """Bob fails to take the lock, and takes it later, before Ada has written."""
        taken = [step.wrote for step in trace.steps if step.actor == "Bob" and step.command.takes]
        last = max(n for n, step in enumerate(trace.steps) if step.actor == "Ada")
        return taken[0] is False and any(
            step.actor == "Bob" and step.command.takes and step.wrote for step in trace.steps[:last]
        )

    assert any(map(overtakes, tried))


def test_a_schedule_that_is_played_again_waits_for_each_end(
    programs: list[Program], data: Data
) -> None:
    ended: list[str] = []

    def slowly(actor: Actor, seconds: float) -> Actor:
        call: Callable[[], object] = actor.operation

        def operation() -> object:
            answer = call()
            time.sleep(seconds)
            ended.append(actor.name)
            return answer

        actor.operation = operation
        return actor

    actors = [slowly(programs[0].does("set_nx"), 0.3), slowly(programs[1].does("set_nx"), 0)]
    trace = play_once(actors, data, data.redis.flushdb, one_at_a_time)
    play_once(actors, data, data.redis.flushdb, one_at_a_time, trace.choices)
    assert ended == ["Ada", "Bob"] * 2
