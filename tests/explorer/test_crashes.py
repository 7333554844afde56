"""Crash points: after each command of a program."""

import time
from collections.abc import Iterator

import pytest

from explorer import Data, Point, Trace, attempt, crash_points, time_passes
from explorer.crashes import Way
from explorer.findings import find
from tests.explorer.conftest import Program

PROMISED = 11  # seconds in which the next one gets in


@pytest.fixture
def victim(programs: list[Program]) -> Iterator[Program]:
    yield programs[0]
    programs[0].revive()


def crash(victim: Program, other: Program, data: Data, name: str, way: Way) -> list[Point]:
    """All crash points of one way, by the rule that the next one gets in as promised."""

    def reset() -> None:
        victim.revive()
        data.redis.flushdb()

    def the_next_gets_in(_: object) -> str | None:
        data.advance(PROMISED)
        data.redis.delete("current")  # what has started ends some day
        trace = attempt(other.does(name), data, data.redis.flushdb)
        return None if trace.outcomes[0].result == "started" else "the next one never gets in"

    return crash_points(victim.does(name), data, reset=reset, rule=the_next_gets_in, ways=[way])


@pytest.mark.parametrize(("way", "first"), [("kill", 0), ("cut", 1), ("pause", 0)])
def test_a_lock_with_a_timeout_survives_every_crash(
    way: Way, first: int, victim: Program, programs: list[Program], data: Data
) -> None:
    points = crash(victim, programs[1], data, "lock_around_both", way)
    assert [point.after for point in points] == list(range(first, 5))
    assert [point.fault for point in points] == [None] * len(points)


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("kill", "Ada was killed after SETNX lock: nothing ends that key."),
        ("cut", "Ada never heard that SETNX lock had worked: nothing ends that key."),
        ("pause", "Ada was paused after SETNX lock: nothing ends that key."),
    ],
)
def test_a_crash_between_setnx_and_expire_is_found(
    way: Way, sentence: str, victim: Program, programs: list[Program], data: Data
) -> None:
    points = crash(victim, programs[1], data, "expires_in_a_second_command", way)
    assert max(point.after for point in points) == 5  # SETNX, EXPIRE, GET, SET, DEL
    [bad] = [point for point in points if point.fault]
    assert bad.after == 1
    assert find(bad.trace).sentence == sentence


def test_a_killed_process_is_dead_and_what_it_would_have_sent_never_arrives(
    victim: Program, programs: list[Program], data: Data
) -> None:
    seen = []

    def reset() -> None:
        victim.revive()
        data.redis.flushdb()

    def look(_: object) -> None:
        victim.process.wait(5)
        victim.gate.open()
        time.sleep(0.1)  # for what might still come
        seen.append(bool(data.redis.exists("current")))

    crash_points(victim.does("look_then_write"), data, reset=reset, rule=look, ways=["kill"])
    assert seen == [False, False, True]  # before GET, before SET, after it


def test_all_places_are_tried_also_when_another_command_comes_now_and_then(
    victim: Program, data: Data
) -> None:
    stages = set()

    def look(_: object) -> None:
        stages.add(data.redis.get("stage"))

    actor = victim.does("beats_now_and_then")
    crash_points(actor, data, reset=data.redis.flushdb, rule=look, ways=["pause"])
    assert stages == {None, b"1", b"2", b"3"}


@pytest.mark.parametrize(
    ("name", "faults"), [("releases_in_one_step", []), ("releases_in_two_commands", [2])]
)
def test_one_that_wakes_up_is_seen_to_take_away_what_is_anothers(
    name: str, faults: list[int], victim: Program, programs: list[Program], data: Data
) -> None:
    """Ada is paused at each point, her lock ends, Bob takes it, and then Ada is woken."""

    def still_there(_: Trace) -> str | None:
        return None if data.redis.exists("lock") else "Bob's lock is gone"

    points = crash_points(
        victim.does(name),
        data,
        reset=data.redis.flushdb,
        rule=lambda _: None,
        ways=["pause"],
        meanwhile=[time_passes(data, PROMISED), programs[1].does("takes_and_keeps")],
        woken=still_there,
    )
    assert [point.after for point in points if point.fault] == faults
    for point in points:
        if point.fault:
            names = [step.command.name for step in point.trace.steps if not step.event]
            assert names == ["SET", "GET", "SET", "DEL"]
            assert [str(one) for one in point.trace.outcomes] == ["released", "started"]
