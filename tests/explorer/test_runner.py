"""Real API processes of exercise 07: the right one passes every schedule, wrong ones fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer import (
    Report,
    Trace,
    as_lanes,
    as_svg,
    attempt,
    crash_points,
    explore,
    find,
    time_passes,
)
from kit.authoring.mistakes import Mistake, mistakes_of
from kit.checking.trial import copy_project
from kit.course import catalogue
from tests.explorer.runner import Answer, Apis

pytestmark = pytest.mark.slow

EXERCISE = catalogue.find("07")
AT_MOST = 6  # steps that tell what is wrong
FILE = "nb_runner/runs.py"
LOCKED = "    with redis.lock(LOCK, timeout=10, blocking_timeout=10):\n"
LOOK = """\
        current = latest()
        if current and current.status.active:
            raise Busy(current.run_id)
"""
WRITE = "        save(record)\n"
BY_HAND = """\
    while not redis.setnx(LOCK, "taken"):
        __import__("time").sleep(0.02)
    redis.expire(LOCK, 10)
    try:
"""
LOSER = """\
    try:
        if not redis.set(LOCK, "taken", nx=True, ex=10):
            raise Busy("unknown")
"""
RELEASED = WRITE + "    finally:\n        redis.delete(LOCK)\n"
FOR_THE_RUN = """\
    if not redis.set(LOCK, record.run_id, nx=True, ex=10):
        raise Busy(str(redis.get(LOCK)))
    save(record)
"""


def wrong(name: str, *edits: tuple[str, str]) -> Mistake:
    return Mistake(
        "07-one-at-a-time", name, tuple((FILE, *edit) for edit in edits), ("7.2",), (), None
    )


def known(name: str) -> Mistake:
    return next(mistake for mistake in mistakes_of(EXERCISE) if mistake.name == name)


@pytest.fixture
def apis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Apis]:
    """The processes of what the test names: a wrong answer, or none for the solution."""
    mistake, count = request.param
    project = copy_project(EXERCISE.solution, tmp_path)
    if mistake is not None:
        mistake.make(project)
    with Apis(project, tmp_path / "state", count) as apis:
        yield apis


def one_gets_in(trace: Trace) -> str | None:
    """The rule of exercise 07."""
    codes = [one.result.status for one in trace.outcomes if isinstance(one.result, Answer)]
    if sorted(codes) == [202] + [409] * (len(trace.outcomes) - 1):
        return None
    return f"the starts were answered {', '.join(map(str, trace.outcomes))}"


def try_all(apis: Apis) -> Report:
    report = explore(apis.starts(), apis.data, reset=apis.data.redis.flushdb, rule=one_gets_in)
    print(f"{report.schedules} schedules in {report.seconds:.2f} s")
    return report


@pytest.mark.parametrize("apis", [(None, 2)], indirect=True)
def test_the_solution_passes_every_schedule(apis: Apis) -> None:
    report = try_all(apis)
    assert report.complete, report.finding
    assert (report.stuck, report.diverged) == (0, 0)
    assert report.schedules > 15


@pytest.mark.parametrize(
    ("apis", "sentence"),
    [
        ((known("looks and writes without a lock"), 2), "both saw nothing"),
        ((known("a lock for each process"), 2), "both saw nothing"),
        ((wrong("writes outside", (WRITE, "    save(record)\n")), 2), "both saw nothing"),
        ((wrong("the loser", (LOCKED, LOSER), (WRITE, RELEASED)), 3), "deleted nb:lock, which"),
    ],
    indirect=["apis"],
    ids=lambda value: value[0].name if isinstance(value, tuple) else "",
)
def test_a_wrong_one_fails_with_a_schedule_that_can_be_drawn(apis: Apis, sentence: str) -> None:
    report = try_all(apis)
    assert report.failing is not None and report.finding is not None and report.again
    print(as_lanes(report.failing, report.finding))
    assert sentence in report.finding.sentence
    assert len(report.finding.steps) <= AT_MOST
    assert report.finding.sentence in as_svg(report.failing, report.finding)


RUN_LOCK = wrong("a lock of ten seconds for the run", (LOCKED + LOOK + WRITE, FOR_THE_RUN))


@pytest.mark.parametrize(
    ("apis", "fails"),
    [((None, 2), False), ((RUN_LOCK, 2), True)],
    indirect=["apis"],
    ids=["right", "wrong"],
)
def test_a_lock_that_ends_before_the_run_is_found(apis: Apis, fails: bool) -> None:
    """Time passes before, between or after the starts, and not in the middle of one."""
    report = explore(
        [*apis.starts(), time_passes(apis.data, 15)],
        apis.data,
        reset=apis.data.redis.flushdb,
        rule=one_gets_in,
        preemptions=0,
    )
    if fails:
        assert report.failing is not None and report.finding is not None and report.again
        assert report.finding.sentence == (
            "The key nb:lock of API 1 ended by itself: so API 2 took it, too."
        )
    else:
        assert report.complete, report.finding


BY_TWO_COMMANDS = wrong("SETNX, then EXPIRE", (LOCKED, BY_HAND), (WRITE, RELEASED))


@pytest.mark.parametrize(
    ("apis", "faults"),
    [((None, 2), []), ((BY_TWO_COMMANDS, 2), [1])],
    indirect=["apis"],
    ids=["right", "wrong"],
)
def test_whoever_stands_still_holding_the_lock_loses_it(apis: Apis, faults: list[int]) -> None:
    victim, other = apis.starts()

    def answered(_: Trace) -> str | None:
        apis.data.advance(15)
        trace = attempt(other, apis.data, apis.data.redis.flushdb)
        return "the next start is never answered" if trace.stuck else None

    points = crash_points(
        victim, apis.data, reset=apis.data.redis.flushdb, rule=answered, ways=["pause"]
    )
    assert len(points) > 5
    assert [point.after for point in points if point.fault] == faults
    for point in points:
        if point.fault:
            sentence = "API 1 was paused after SETNX nb:lock: nothing ends that key."
            assert find(point.trace).sentence == sentence
