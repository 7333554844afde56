"""A starter that a learner has opened and not changed: it is not begun, and no learner is stuck."""

import shutil
from pathlib import Path

from kit.classroom import stuck
from kit.classroom.intake.sources import find_sources
from kit.classroom.reports.json_report import PreviousResults
from kit.classroom.results import ClassResult
from kit.classroom.schedule import Schedule
from kit.course import catalogue, work
from kit.sandbox.limits import Limits
from kit.verdicts.verdict import State


def test_an_untouched_starter_is_not_graded_and_not_stuck(tmp_path: Path) -> None:
    exercise = catalogue.find("02")
    place = tmp_path / "ada" / "work" / exercise.slug
    shutil.copytree(exercise.starter, place, ignore=work.NOT_COPIED)
    (place / "__pycache__").mkdir()
    sources = find_sources([tmp_path])
    with Schedule(
        sources, [exercise], Limits(), concurrency=1, previous=PreviousResults()
    ) as schedule:
        [step] = list(schedule)
    assert step.last
    assert {task.state for task in step.learner.tasks([exercise])} == {State.NOT_HANDED_IN}
    assert step.learner.notes == ["02-hello-fastapi is the starter, unchanged."]
    assert stuck.hardest_first(ClassResult([exercise], [step.learner], "")) == []


def test_one_changed_or_added_file_is_work(tmp_path: Path) -> None:
    exercise = catalogue.find("02")
    place = tmp_path / exercise.slug
    shutil.copytree(exercise.starter, place, ignore=work.NOT_COPIED)
    assert work.is_untouched(exercise, place)
    (place / "notes.txt").touch()
    assert not work.is_untouched(exercise, place)
    (place / "notes.txt").unlink()
    main = place / "nb_runner" / "main.py"
    main.write_text(main.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not work.is_untouched(exercise, place)
