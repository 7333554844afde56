"""What one check is about, and what is remembered of it."""

import time
from dataclasses import dataclass
from pathlib import Path

from kit.course import progress
from kit.course.catalogue import Exercise
from kit.grading.verdict import Verdict


@dataclass(frozen=True)
class Job:
    """A project to check. `work` and `grader` are hashes from before the check."""

    exercise: Exercise
    folder: Path
    work: str
    grader: str

    @property
    def is_learners(self) -> bool:
        """Whether it is the learner's copy, the only one whose progress is kept."""
        return self.folder.resolve() == self.exercise.work.resolve()


def job(exercise: Exercise, folder: Path) -> Job:
    """Note what is checked now: a save during the check must not count as passed."""
    return Job(exercise, folder, progress.hash_of_work(folder), progress.hash_of_grader(exercise))


def record(job: Job, verdict: Verdict, *, turned_to: bool = True) -> None:
    """Keep the result of a check of the learner's copy.

    `turned_to`: the learner asked for this exercise, so it is now the one that they are at.
    """
    if verdict.problem or not job.is_learners:
        return
    with progress.changing() as done:
        if turned_to:
            done.last = job.exercise.slug
        mine = done.of(job.exercise)
        failure = verdict.first_failure
        if failure is None:
            mine.passed = progress.Pass(job.work, job.grader, time.time())
            mine.skipped, mine.failures, mine.failed = False, 0, ""
        else:
            mine.failed = failure.number
            mine.failures += 1
            mine.skipped = mine.skipped and not turned_to
