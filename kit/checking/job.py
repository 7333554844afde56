"""One check of a project, and the record of its result."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kit.attendee import outbox
from kit.checking import latest
from kit.course import progress
from kit.course.catalogue import Exercise
from kit.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Job:
    """A project to check. `work` and `grader` are hashes that were taken before the check."""

    exercise: Exercise
    folder: Path
    work: str
    grader: str

    @property
    def is_learners(self) -> bool:
        """Whether it is the learner's copy. The kit records progress for no other folder."""
        return self.folder.resolve() == self.exercise.work.resolve()


def job(exercise: Exercise, folder: Path) -> Job:
    """Hash the project now: a file saved during the check must not count as passed."""
    return Job(exercise, folder, progress.hash_of_work(folder), progress.hash_of_grader(exercise))


def follow(job: Job, decided: Iterable[tuple[str, bool]]) -> None:
    """Note which tasks of the learner's copy are decided, while the others are being checked."""
    if job.is_learners:
        latest.note_progress(job.exercise, decided)


def give_up(job: Job) -> None:
    """Note that a check of the learner's copy has ended without a verdict."""
    if job.is_learners:
        latest.note_end(job.exercise, None)


def record(job: Job, verdict: Verdict, *, turned_to: bool = True) -> None:
    """Record the result of a check of the learner's copy.

    `turned_to`: the learner asked for this exercise, so it is now their current one.
    """
    if not job.is_learners:
        return
    latest.note_end(job.exercise, verdict)
    if verdict.problem:
        return
    failure = verdict.first_failure
    failed_test = failure.failure.test if failure and failure.failure else ""
    outbox.note_verdict(
        job.exercise.slug, {task.number: task.state.value for task in verdict.tasks}, failed_test
    )
    with progress.changing() as done:
        if turned_to:
            done.last = job.exercise.slug
        exercise_record = done.of(job.exercise)
        if failure is None:
            exercise_record.passed = progress.Pass(job.work, job.grader, time.time())
            exercise_record.skipped, exercise_record.failures = False, 0
            exercise_record.failed, exercise_record.failed_test = "", ""
        else:
            exercise_record.failed = failure.number
            exercise_record.failed_test = failed_test
            exercise_record.failures += 1
            exercise_record.skipped = exercise_record.skipped and not turned_to
