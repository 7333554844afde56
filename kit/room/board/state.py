"""What the board shows, as data. Names are texts: the page writes them as texts."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypedDict

from kit.course import advice
from kit.course.agenda import clock
from kit.course.catalogue import Exercise, Task
from kit.room.board.schedule import Schedule
from kit.room.store import Attendee, Standing, Store
from kit.verdicts.verdict import State

HOUR, DAY = 60, 24 * 60  # minutes


class TaskOnBoard(TypedDict):
    """One column of the grid."""

    number: str
    title: str
    passed: int


class ExerciseOnBoard(TypedDict):
    """The columns of one exercise."""

    slug: str
    number: str
    title: str
    tasks: list[TaskOnBoard]


class AttendeeOnBoard(TypedDict):
    """One row. `states`: a state for each column; empty for what was never checked."""

    id: int
    name: str
    states: list[str]
    at: str
    checks: int
    minutes: int


class Said(TypedDict):
    """What an instructor says to those who are wrong in this way."""

    did: str
    say: str


class Stuck(TypedDict):
    """The task at which most are, and what most of them have not met yet."""

    number: str
    title: str
    count: int
    demand: str
    demand_count: int
    say: list[Said]


class Asks(TypedDict):
    """An attendee who has asked for help, and since when (in seconds since 1970)."""

    id: int
    name: str
    at: str
    since: float


class Behind(TypedDict):
    """Where one attendee is, and by how many minutes behind the agenda; below 0: ahead of it."""

    at: str
    minutes: int


class PaceOnBoard(TypedDict):
    """Where the instructor says that the room is, and where the agenda says so."""

    now: str
    time_up: bool
    agenda: str
    median: Behind | None
    slowest: Behind | None


class Board(TypedDict):
    """All that the board shows."""

    exercises: list[ExerciseOnBoard]
    attendees: list[AttendeeOnBoard]
    stuck: Stuck | None
    help: list[Asks]
    pace: PaceOnBoard


def board(store: Store, course: Sequence[Exercise], plan: Schedule) -> Board:
    """The room now."""
    attendees = store.attendees()
    touched = {each.exercise for who in attendees for each in who.standings}
    shown = [each for each in course if each in plan.exercises or each.slug in touched]
    standings = {who.id: {each.exercise: each for each in who.standings} for who in attendees}
    return Board(
        exercises=[_exercise(each, list(standings.values())) for each in shown],
        attendees=[_attendee(who, standings[who.id], shown) for who in attendees],
        stuck=stuck(shown, list(standings.values())),
        help=_asking(attendees),
        pace=_pace(store, plan, shown, list(standings.values())),
    )


def stuck(course: Sequence[Exercise], standings: Sequence[Mapping[str, Standing]]) -> Stuck | None:
    """The task that most attendees fail now; of equals, the earlier one."""
    failing: Counter[str] = Counter()
    tests: dict[str, Counter[str]] = {}
    for each in standings:
        latest = max(each.values(), key=lambda standing: standing.at, default=None)
        number = failed_task(latest)
        if latest is not None and number:
            failing[number] += 1
            tests.setdefault(number, Counter())[latest.test] += 1
    tasks = [(exercise, task) for exercise in course for task in exercise.tasks]
    worst = max(tasks, key=lambda pair: failing[pair[1].number], default=None)
    if worst is None or not failing[worst[1].number]:
        return None
    exercise, task = worst
    test, count = tests[task.number].most_common(1)[0]
    demand = demand_of(task, test)
    said = advice.on(exercise, test) if demand else []
    return Stuck(
        number=task.number,
        title=task.title,
        count=failing[task.number],
        demand=demand,
        demand_count=count if demand else 0,
        say=[Said(did=each.did, say=each.say) for each in said],
    )


def failed_task(standing: Standing | None) -> str:
    """The number of the task that has failed; empty for none."""
    tasks = standing.tasks if standing is not None else {}
    return next((number for number, state in tasks.items() if state == State.FAILED), "")


def demand_of(task: Task, test: str) -> str:
    """The sentence of the exercise that a test of the grader decides."""
    return next((each.text for each in task.requirements if test in each.tests), "")


def passed_tasks(standings: Mapping[str, Standing]) -> dict[str, int]:
    """How many tasks of each exercise are passed."""
    return {
        slug: sum(state == State.PASSED for state in standing.tasks.values())
        for slug, standing in standings.items()
    }


def _exercise(exercise: Exercise, standings: Sequence[Mapping[str, Standing]]) -> ExerciseOnBoard:
    passed: Counter[str] = Counter()
    for each in standings:
        if exercise.slug in each:
            tasks = each[exercise.slug].tasks
            passed.update(number for number, state in tasks.items() if state == State.PASSED)
    return ExerciseOnBoard(
        slug=exercise.slug,
        number=f"{exercise.number:02}",
        title=exercise.title,
        tasks=[
            TaskOnBoard(number=task.number, title=task.title, passed=passed[task.number])
            for task in exercise.tasks
        ],
    )


def _attendee(
    who: Attendee, standings: Mapping[str, Standing], shown: Sequence[Exercise]
) -> AttendeeOnBoard:
    states = [
        str(standings[exercise.slug].tasks.get(task.number, "")) if exercise.slug in standings
        else ""
        for exercise in shown
        for task in exercise.tasks
    ]  # fmt: skip
    return AttendeeOnBoard(
        id=who.id,
        name=who.name,
        states=states,
        at=_place(standings, shown),
        checks=sum(each.checks for each in standings.values()),
        minutes=standings[who.exercise].minutes if who.exercise in standings else 0,
    )


def _place(standings: Mapping[str, Standing], shown: Sequence[Exercise]) -> str:
    """The first task that is not passed, of the exercise that was checked last, or after it."""
    latest = max(standings.values(), key=lambda each: each.at, default=None)
    if latest is None:
        return ""
    for exercise in shown:
        if exercise.slug < latest.exercise:
            continue
        tasks = standings[exercise.slug].tasks if exercise.slug in standings else {}
        for task in exercise.tasks:
            if tasks.get(task.number) != State.PASSED:
                return task.number
    return ""


def _asking(attendees: Sequence[Attendee]) -> list[Asks]:
    """Those who have asked for help, the longest wait first."""
    asking = sorted((who for who in attendees if who.help_since), key=lambda who: who.help_since)
    return [Asks(id=who.id, name=who.name, at=who.help, since=who.help_since) for who in asking]


def _pace(
    store: Store,
    plan: Schedule,
    shown: Sequence[Exercise],
    standings: Sequence[Mapping[str, Standing]],
) -> PaceOnBoard:
    minute = minute_of_agenda(plan.plan.start, time.localtime())
    planned = plan.planned(minute)
    behind = sorted(
        (
            Behind(
                at=_place(each, shown),
                minutes=math.floor(planned - plan.done(passed_tasks(each)) + 0.5),
            )
            for each in standings
            if each
        ),
        key=lambda each: each["minutes"],
    )
    return PaceOnBoard(
        now=store.setting("now"),
        time_up=bool(store.setting("time_up")),
        agenda=_by_agenda(plan, minute),
        median=behind[len(behind) // 2] if behind else None,
        slowest=behind[-1] if behind else None,
    )


def _by_agenda(plan: Schedule, minute: float) -> str:
    """What the agenda has now, in words."""
    for begins, minutes, block in plan.plan.timed():
        if begins <= minute < begins + minutes:
            return f"{block.title}, until {clock(begins + minutes)}"
    return f"begins at {clock(plan.plan.start)}" if minute < plan.plan.start else "over"


def minute_of_agenda(start: int, now: time.struct_time) -> float:
    """The time in minutes since the midnight before `start`: an evening may go on past the next.

    Half a day before the start it is the next day.
    """
    minute = now.tm_hour * HOUR + now.tm_min + now.tm_sec / 60
    return minute + DAY if minute < start - DAY / 2 else minute
