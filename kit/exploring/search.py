"""Tries all schedules and all crash points of a runner."""

from collections.abc import Callable
from functools import partial
from time import monotonic

from kit.exploring.crashes import crashes_of_run, crashes_of_start
from kit.exploring.findings import Exploration
from kit.exploring.lost_answers import lost_answers
from kit.exploring.schedules import (
    APART,
    cancel_and_run,
    start_and_cancel,
    start_and_run,
    starts_apart,
    two_starts,
)
from kit.exploring.subject import Subject
from kit.grading.gated.worker import GatedWorker
from kit.verdicts.failure import Wrong

TWO_STARTS, APART_STARTS = "two starts at once", f"two starts, {APART} s apart"
START_AND_CANCEL = "a start and a cancel, while a run is queued"
LOST_ANSWERS = "a start that does not get an answer of Redis, then two workers"
START_AND_RUN, CANCEL_AND_RUN = "a start in the middle of a run", "a cancel in the middle of a run"
CRASHES_OF_START, CRASHES_OF_RUN = "crash points of a start", "crash points of a run"

Progress = Callable[[str, int], object]  # what is tried, and how often it has been tried


def search_all(subject: Subject, found: Exploration, progress: Progress) -> None:
    """Try everything, and add it to `found`."""
    began = monotonic()
    _try(subject, found, progress)
    found.seconds = monotonic() - began


def _try(subject: Subject, found: Exploration, progress: Progress) -> None:
    found.searches.append(two_starts(subject, TWO_STARTS, partial(progress, TWO_STARTS)))
    failing = found.searches[0].failing
    if failing is not None and not failing.preemptions:
        found.left_out.append("A second start is let in after the first: nothing else was tried.")
        return
    found.searches.append(starts_apart(subject, APART_STARTS, partial(progress, APART_STARTS)))
    if subject.can_cancel():
        tried = partial(progress, START_AND_CANCEL)
        found.searches.append(start_and_cancel(subject, START_AND_CANCEL, tried))
    found.searches.append(lost_answers(subject, LOST_ANSWERS, partial(progress, LOST_ANSWERS)))
    found.points += crashes_of_start(subject, partial(progress, CRASHES_OF_START))
    progress(START_AND_RUN, 0)
    try:
        with subject.worker() as worker:
            _try_runs(subject, worker, found, progress)
    except Wrong as wrong:
        found.left_out.append(f"Crash points of a run were not tried: {wrong.got}.")


def _try_runs(
    subject: Subject, worker: GatedWorker, found: Exploration, progress: Progress
) -> None:
    tried = partial(progress, START_AND_RUN)
    found.searches.append(start_and_run(subject, worker, START_AND_RUN, tried))
    if subject.can_cancel():
        tried = partial(progress, CANCEL_AND_RUN)
        found.searches.append(cancel_and_run(subject, worker, CANCEL_AND_RUN, tried))
    found.points += crashes_of_run(subject, worker, partial(progress, CRASHES_OF_RUN))
