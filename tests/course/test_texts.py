"""Chapter and README of an exercise: one text, in two parts, that fits the minutes announced."""

import re

import pytest

from kit.course.catalogue import Exercise, load
from kit.course.diff import difference
from kit.site.macros.markdown import outside_fences
from kit.site.server import PORT

WORDS_A_MINUTE = 150  # in a foreign language, with something to understand
LINES_A_MINUTE = 7  # of code: found out, with hints, and typed
MINUTES_A_TASK = 1  # to check it and to read what the check says

# For later: the tasks can be done without these.
LATER = ("Go further", "What changed since 2023")
FOLDED = re.compile(r"^\?{3} .*\n(?:\n| {4}.*\n)*", re.MULTILINE)  # a block that one opens
LINK = re.compile(r"\]\([^)]*\)")
MACRO = re.compile(r"^\[\[.*\]\]$", re.MULTILINE)
WORD = re.compile(r"\w[^\s|]*")
SENTENCE = re.compile(r"(?<=[.:?!])\s")
SHORT = 6  # words: a sentence of so few may be in both

COURSE = load()


def prose(text: str) -> str:
    """A page without its blocks of code."""
    lines = text.splitlines()
    told = outside_fences(lines)
    return "\n".join([line for line, out in zip(lines, told, strict=True) if out] + [""])


def sections(text: str) -> dict[str, str]:
    """What is below each heading of the second level; what is above the first has no name."""
    first, *others = re.split(r"^## ", prose(text), flags=re.MULTILINE)
    return {"": first} | {title: below for title, _, below in (o.partition("\n") for o in others)}


def words(text: str) -> int:
    """How many words there are to read: no code, no answers that are folded, nothing for later."""
    kept = [f"{title}\n{it}" for title, it in sections(text).items() if title not in LATER]
    return len(WORD.findall(MACRO.sub("", LINK.sub("]", FOLDED.sub("", "\n".join(kept))))))


def sentences(text: str) -> set[str]:
    """The sentences of a page, each on one line, but for the short ones."""
    paragraphs = re.split(r"\n\s*\n|^#.*|^(?:- |\| )", prose(text), flags=re.MULTILINE)
    found = {each for it in paragraphs for each in SENTENCE.split(" ".join(it.split()))}
    return {each for each in found if len(WORD.findall(each)) > SHORT}


def lines_to_write(exercise: Exercise) -> int:
    """How many lines the solution has that the starter has not. Poetry writes the lock."""
    changes = difference(exercise.starter, exercise.solution, "a", "b")
    return sum(
        line.startswith("+") and not line.startswith("+++") and line != "+"
        for line in changes.splitlines()
    )


def readme_of(exercise: Exercise) -> str:
    """The README of an exercise's starter."""
    return (exercise.starter / "README.md").read_text(encoding="utf-8")


def chapter_of(exercise: Exercise) -> str:
    """The chapter of an exercise, with its macros as they are."""
    return exercise.chapter.read_text(encoding="utf-8")


def minutes_needed(exercise: Exercise) -> float:
    """The minutes to read chapter and README, to write the code and to check it."""
    reading = (words(chapter_of(exercise)) + words(readme_of(exercise))) / WORDS_A_MINUTE
    writing = lines_to_write(exercise) / LINES_A_MINUTE
    return reading + writing + MINUTES_A_TASK * len(exercise.tasks)


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_an_exercise_takes_no_longer_than_it_announces(exercise: Exercise) -> None:
    assert minutes_needed(exercise) <= exercise.minutes


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_no_sentence_is_in_both_chapter_and_readme(exercise: Exercise) -> None:
    assert sentences(chapter_of(exercise)) & sentences(readme_of(exercise)) == set()


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_a_readme_has_the_address_of_the_chapter_then_commands_tasks_and_the_end(
    exercise: Exercise,
) -> None:
    parts = sections(readme_of(exercise))
    assert f"<http://127.0.0.1:{PORT}/exercises/{exercise.slug}/>" in parts[""]
    assert list(parts) == ["", "Commands", "Tasks", "Done when"]


@pytest.mark.parametrize("exercise", COURSE, ids=lambda exercise: exercise.slug)
def test_a_chapter_ends_with_key_points_and_the_way_on(exercise: Exercise) -> None:
    parts = sections(chapter_of(exercise))
    assert list(parts)[-1] == "Key points"
    assert 3 <= len(re.findall(r"^- ", parts["Key points"], re.MULTILINE)) <= 5
    following = next((it for it in COURSE if it.number == exercise.number + 1), None)
    if following:
        link = f"[{following.slug[:2]} {following.title}]({following.slug}.md)"
        assert parts["Key points"].rstrip().endswith(f"\nNext: {link}.")


def test_what_is_for_later_does_not_count() -> None:
    text = "# One\n\nTwo [three](https://a.example/b c) | four\n\n[[tasks 01]]\n"
    assert words(text) == 4
    for_later = '```console\n$ five\n```\n\n??? question "Six?"\n    Seven.\n\n    Eight.\n'
    assert words(f"{text}\n{for_later}\n## Go further\n\nNine.\n") == 4
    assert words(f"{text}\n{for_later}\n## Go further\n\nNine.\n\n## Five\n") == 5


def test_a_sentence_that_is_in_both_would_be_found() -> None:
    text = "# A\n\nThe chapter is here. The lock opens by\nitself after ten seconds. So.\n"
    other = "- The lock opens by itself after ten seconds.\n"
    assert sentences(text) & sentences(other) == {"The lock opens by itself after ten seconds."}
