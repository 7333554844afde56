"""The minutes that an exercise announces are enough to read its text and to do its tasks."""

import re

import pytest

from kit.course.catalogue import Exercise, load
from kit.course.diff import difference
from kit.site.macros.markdown import outside_fences

WORDS_A_MINUTE = 150  # in a foreign language, with something to understand
LINES_A_MINUTE = 6  # of code: found out, and typed
MINUTES_A_TASK = 1  # to check it and to read what the check says

# For later: nobody has to read these in order to do the tasks.
LATER = ("Go further", "What changed since 2023")
FOLDED = re.compile(r"^\?{3} .*\n(?:\n| {4}.*\n)*", re.MULTILINE)  # a block that one opens
LINK = re.compile(r"\]\([^)]*\)")
MACRO = re.compile(r"^\[\[.*\]\]$", re.MULTILINE)
WORD = re.compile(r"\w[^\s|]*")


def words(text: str) -> int:
    """How many words there are to read: no code, no answers that are folded, nothing for later."""
    lines = text.splitlines()
    prose = "\n".join(line for line, out in zip(lines, outside_fences(lines), strict=True) if out)
    sections = re.split(r"^(?=## )", FOLDED.sub("", f"{prose}\n"), flags=re.MULTILINE)
    kept = [each for each in sections if not each.startswith(tuple(f"## {it}" for it in LATER))]
    return len(WORD.findall(MACRO.sub("", LINK.sub("]", "".join(kept)))))


def lines_to_write(exercise: Exercise) -> int:
    """How many lines the solution has that the starter has not. Poetry writes the lock."""
    changes = difference(exercise.starter, exercise.solution, "a", "b")
    return sum(
        line.startswith("+") and not line.startswith("+++") and line != "+"
        for line in changes.splitlines()
    )


def minutes_needed(exercise: Exercise) -> float:
    """The minutes to read chapter and README, to write the code and to check it."""
    texts = (exercise.chapter, exercise.starter / "README.md")
    reading = sum(words(file.read_text(encoding="utf-8")) for file in texts) / WORDS_A_MINUTE
    writing = lines_to_write(exercise) / LINES_A_MINUTE
    return reading + writing + MINUTES_A_TASK * len(exercise.tasks)


@pytest.mark.parametrize("exercise", load(), ids=lambda exercise: exercise.slug)
def test_an_exercise_takes_no_longer_than_it_announces(exercise: Exercise) -> None:
    assert minutes_needed(exercise) <= exercise.minutes


def test_what_is_for_later_does_not_count() -> None:
    text = "# One\n\nTwo [three](https://a.example/b c) | four\n\n[[tasks 01]]\n"
    assert words(text) == 4
    for_later = '```console\n$ five\n```\n\n??? question "Six?"\n    Seven.\n\n    Eight.\n'
    assert words(f"{text}\n{for_later}\n## Go further\n\nNine.\n") == 4
    assert words(f"{text}\n{for_later}\n## Go further\n\nNine.\n\n## Ten\n") == 5
