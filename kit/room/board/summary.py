"""The end of the day: how far the room has come, as Markdown and as CSV."""

import csv
import io
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from kit.classroom.reports.csv_report import without_formula
from kit.course.catalogue import Exercise
from kit.markdown import table
from kit.room.board.state import demand_of, passed_tasks
from kit.room.store import Attendee, Standing
from kit.verdicts.verdict import State

SPECIAL = "\\`*_{}[]<>#!~"  # what Markdown would take for its own


def as_markdown(attendees: Sequence[Attendee], course: Sequence[Exercise], date: str) -> str:
    """A table of the exercises, what the room failed at, and a table of the attendees."""
    standings = [each for who in attendees for each in who.standings]
    touched = [each for each in course if any(one.exercise == each.slug for one in standings)]
    count = "1 attendee" if len(attendees) == 1 else f"{len(attendees)} attendees"
    lines = [f"# The room of {date}", "", f"{count}.", ""]
    if not touched:
        return "\n".join([*lines, "Nobody has checked an exercise."]) + "\n"
    lines += ["## Exercises", ""]
    lines.append(
        table(
            ("exercise", "began", "passed", "median minutes", "median checks"),
            (_exercise_row(each, standings) for each in touched),
        )
    )
    lines += ["", "## What was not met at the end", ""]
    lines += list(_unmet(touched, standings)) or ["Nothing."]
    lines += ["", "## Attendees", ""]
    rows = [(_plain(who.name), *_attendee_row(who, touched)) for who in attendees]
    lines.append(table(("name", *(f"{each.number:02}" for each in touched), "checks"), rows))
    return "\n".join(lines) + "\n"


def as_csv(attendees: Sequence[Attendee], course: Sequence[Exercise]) -> str:
    """A row for each attendee and exercise."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["name", "exercise", "passed", "tasks", "checks", "minutes"])
    for who in attendees:
        by_exercise = {each.exercise: each for each in who.standings}
        passed = passed_tasks(by_exercise)
        for exercise in course:
            if (one := by_exercise.get(exercise.slug)) is not None:
                done, tasks = passed[exercise.slug], len(exercise.tasks)
                name = without_formula(who.name)
                rows.writerow([name, exercise.slug, done, tasks, one.checks, one.minutes])
    return out.getvalue()


def _exercise_row(exercise: Exercise, standings: Sequence[Standing]) -> tuple[str, ...]:
    mine = [each for each in standings if each.exercise == exercise.slug]
    passed = sum(_is_passed(each, exercise) for each in mine)
    return (
        f"{exercise.number:02} {exercise.title}",
        str(len(mine)),
        str(passed),
        f"{statistics.median(each.minutes for each in mine):g}",
        f"{statistics.median(each.checks for each in mine):g}",
    )


def _unmet(course: Sequence[Exercise], standings: Sequence[Standing]) -> Iterator[str]:
    for exercise in course:
        for task in exercise.tasks:
            tests = Counter(
                each.test
                for each in standings
                if each.exercise == exercise.slug and each.tasks.get(task.number) == State.FAILED
            )
            for test, count in tests.most_common():
                demand = demand_of(task, test) or "another reason"
                yield f"- {task.number} {task.title}, {count} of them: {demand}"


def _attendee_row(who: Attendee, course: Sequence[Exercise]) -> tuple[str, ...]:
    by_exercise = {each.exercise: each for each in who.standings}
    passed = passed_tasks(by_exercise)
    cells = [
        f"{passed[each.slug]} of {len(each.tasks)}" if each.slug in by_exercise else ""
        for each in course
    ]
    return (*cells, str(sum(each.checks for each in who.standings)))


def _is_passed(standing: Standing, exercise: Exercise) -> bool:
    return all(standing.tasks.get(task.number) == State.PASSED for task in exercise.tasks)


def _plain(text: str) -> str:
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in text)
