"""Wrong answers of exercise 07, with real processes: which schedule is found, and judged how."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer import find
from kit.authoring.mistakes import mistakes_of
from kit.checking.trial import copy_project
from kit.course import catalogue
from kit.exploring.schedules import starts_apart, two_starts
from kit.exploring.subject import Subject, opened

pytestmark = pytest.mark.slow

EXERCISE = catalogue.find("07")


@pytest.fixture
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A runner with a known mistake."""
    project = copy_project(EXERCISE.solution, tmp_path)
    next(each for each in mistakes_of(EXERCISE) if each.name == request.param).make(project)
    with opened(project) as subject:
        yield subject


def tried(_: int) -> None:
    """Not looked at."""


@pytest.mark.parametrize(
    "wrong", ["looks and writes without a lock", "a lock for each process"], indirect=True
)
def test_two_that_look_before_they_write(wrong: Subject) -> None:
    search = two_starts(wrong, "two starts", tried)
    assert search.failing is not None and search.failing.preemptions > 0
    assert search.failing.fault == "2 runs are active at the same time"
    assert "both saw nothing" in find(search.failing).sentence
    assert starts_apart(wrong, "apart", tried).kept
