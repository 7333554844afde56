"""Schedules in the failures of graders."""

from dataclasses import replace
from pathlib import Path

import pytest

from kit.authoring.mistakes import mistakes_of
from kit.checking.grader_process import grade
from kit.checking.trial import copy_project
from kit.classroom.normalise import ProjectLocation, normalised
from kit.course import catalogue
from kit.grading.options import GraderOptions
from kit.verdicts.verdict import Verdict

EXERCISE = catalogue.find("07")


@pytest.mark.slow
@pytest.mark.thorough
def test_a_schedule_is_the_same_in_two_gradings(tmp_path: Path) -> None:
    """The lock's token, which is made anew each time, has a placeholder."""
    project = copy_project(EXERCISE.solution, tmp_path)
    mistakes = {mistake.name: mistake for mistake in mistakes_of(EXERCISE)}
    mistakes["the lock has no timeout"].make(project)

    def verdict() -> Verdict:
        found = grade(EXERCISE, project, GraderOptions(), stop_early=True)
        return replace(normalised(found, ProjectLocation(EXERCISE.slug, tmp_path)), seconds=0)

    first = verdict()
    failure = first.first_failure
    assert failure is not None and failure.failure is not None
    assert "id-1" in failure.failure.schedule
    assert verdict() == first
