"""Real API processes of exercise 07: the right one passes every schedule, wrong ones fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer import (
    Actor,
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
from kit.grading.gated.project import GatedProject
from kit.grading.gated.rules import statuses
from kit.grading.options import GraderOptions
from kit.grading.submission import Submission
from kit.processes.forkserver import ForkServer

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
def gated(
    request: pytest.FixtureRequest, tmp_path: Path, fork_server: ForkServer | None
) -> Iterator[GatedProject]:
    """The processes of what the test names: a wrong answer, or none for the solution."""
    mistake, count = request.param
    project = copy_project(EXERCISE.solution, tmp_path)
    if mistake is not None:
        mistake.make(project)
    options = GraderOptions(fork_server=fork_server.client if fork_server else None)
    with Submission(project, options) as submission, GatedProject(submission, count) as gated:
        gated.warm_up("/start")
        yield gated


def starts(gated: GatedProject) -> list[Actor]:
    return [api.actor("POST", "/start") for api in gated.apis]


def one_gets_in(trace: Trace) -> str | None:
    """The rule of exercise 07."""
    if statuses(trace) == [202] + [409] * (len(trace.outcomes) - 1):
        return None
    return f"the starts were answered {', '.join(map(str, trace.outcomes))}"


def try_all(gated: GatedProject) -> Report:
    alike = starts(gated)
    report = explore(alike, gated.data, reset=gated.reset, rule=one_gets_in, alike=alike)
    print(f"{report.schedules} schedules in {report.seconds:.2f} s")
    return report


@pytest.mark.parametrize("gated", [(None, 2)], indirect=True)
def test_the_solution_passes_every_schedule(gated: GatedProject) -> None:
    report = try_all(gated)
    assert report.complete, report.finding
    assert (report.stuck, report.diverged) == (0, 0)
    assert report.schedules > 4


@pytest.mark.parametrize(
    ("gated", "sentence"),
    [
        ((known("looks and writes without a lock"), 2), "both saw nothing"),
        ((known("a lock for each process"), 2), "both saw nothing"),
        ((wrong("writes outside", (WRITE, "    save(record)\n")), 2), "both saw nothing"),
        ((wrong("the loser", (LOCKED, LOSER), (WRITE, RELEASED)), 3), "deleted nb:lock, which"),
    ],
    indirect=["gated"],
    ids=lambda value: value[0].name if isinstance(value, tuple) else "",
)
def test_a_wrong_one_fails_with_a_schedule_that_can_be_drawn(
    gated: GatedProject, sentence: str
) -> None:
    report = try_all(gated)
    assert report.failing is not None and report.finding is not None and report.again
    print(as_lanes(report.failing, report.finding))
    assert sentence in report.finding.sentence
    assert len(report.finding.steps) <= AT_MOST
    assert report.finding.sentence in as_svg(report.failing, report.finding)


RUN_LOCK = wrong("a lock of ten seconds for the run", (LOCKED + LOOK + WRITE, FOR_THE_RUN))


@pytest.mark.parametrize(
    ("gated", "fails"),
    [((None, 2), False), ((RUN_LOCK, 2), True)],
    indirect=["gated"],
    ids=["right", "wrong"],
)
def test_a_lock_that_ends_before_the_run_is_found(gated: GatedProject, fails: bool) -> None:
    """Time passes before, between or after the starts, and not in the middle of one."""
    report = explore(
        [*starts(gated), time_passes(gated.data, 15)],
        gated.data,
        reset=gated.reset,
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
    ("gated", "faults"),
    [((None, 2), []), ((BY_TWO_COMMANDS, 2), [1])],
    indirect=["gated"],
    ids=["right", "wrong"],
)
def test_whoever_stands_still_holding_the_lock_loses_it(
    gated: GatedProject, faults: list[int]
) -> None:
    victim, other = starts(gated)

    def answered(_: Trace) -> str | None:
        gated.data.advance(15)
        trace = attempt(other, gated.data, gated.reset)
        return "the next start is never answered" if trace.stuck else None

    points = crash_points(victim, gated.data, reset=gated.reset, rule=answered, ways=["pause"])
    assert len(points) > 5
    assert [point.after for point in points if point.fault] == faults
    for point in points:
        if point.fault:
            sentence = "API 1 was paused after SETNX nb:lock: nothing ends that key."
            assert find(point.trace).sentence == sentence
