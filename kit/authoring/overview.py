"""What README.md says of the course: a row for each exercise, and the minutes of each track."""

import re
from collections.abc import Sequence

from kit.course.catalogue import Exercise

ROW = re.compile(r"^\| (\d\d) \| \[(.+)\]\(exercises/(.+)/README\.md\) \| (\d+) \|", re.MULTILINE)
# What a track is called in the sentence about minutes; {numbers} are its exercises.
MINUTES = {
    "self-paced": "{minutes} minutes for those who do all of it alone",
    "half-day": "{minutes} for a half-day",
    "evening": "{minutes} for an evening ({numbers})",
}


def rows(readme: str) -> list[tuple[str, str, str, str]]:
    """Number, title, slug and minutes of each row that is there."""
    return ROW.findall(readme)


def cells(exercise: Exercise) -> tuple[str, str, str, str]:
    """What `rows` should find for an exercise."""
    return exercise.slug[:2], exercise.title, exercise.slug, str(exercise.minutes)


def row(exercise: Exercise) -> str:
    """The row of an exercise, to paste; the point of it is for the author to write."""
    number, title, slug, minutes = cells(exercise)
    return f"| {number} | [{title}](exercises/{slug}/README.md) | {minutes} | the point of it |"


def minutes(course: Sequence[Exercise], track: str) -> str:
    """What is said of the minutes of a track."""
    there = [exercise for exercise in course if track in exercise.tracks]
    return MINUTES[track].format(
        minutes=sum(exercise.minutes for exercise in there),
        numbers=", ".join(exercise.slug[:2] for exercise in there),
    )
