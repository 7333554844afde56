"""The schedule of a grading: several learners at a time, each in a scratch folder."""

import contextlib
import hashlib
import json
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from kit.classroom.intake.copying import CopiedWork, copy_work
from kit.classroom.intake.sources import Source
from kit.classroom.normalise import ProjectLocation, normalised, replace_unprintable
from kit.classroom.reports.json_report import PreviousResults
from kit.classroom.results import LearnerResult
from kit.course import progress, work
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.sandbox.bubblewrap import protection
from kit.sandbox.folder_removal import remove
from kit.sandbox.limits import Limits
from kit.sandbox.session import Session
from kit.verdicts.verdict import ProblemCode, State, Verdict, all_tasks, not_checked

MAX_CONCURRENCY = 64
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore Ctrl-C and the like, so that a second one cannot interrupt the cleanup."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def default_concurrency() -> int:
    """The number of cores that this process may use. In a container it can be a part of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MAX_CONCURRENCY, cores or 1)


@dataclass(frozen=True)
class Step:
    """News about a learner: the submission was copied (`verdict` is None), or there is a verdict.

    `learner` is the result so far. `remaining` counts the learner's exercises that are still to be
    graded. After the `last` step, no other one follows for this learner.
    """

    learner: LearnerResult
    verdict: Verdict | None
    remaining: int
    last: bool = False


class Schedule:
    """The grading of a class: a context manager. Iterating grades, and yields the steps.

    `concurrency` is the number of learners graded at the same time. A verdict of the `previous`
    grading is reused while all that it depends on is the same. Leaving the context, by Ctrl-C too,
    ends all programs of submissions and removes their copies.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        exercises: Sequence[Exercise],
        limits: Limits,
        *,
        concurrency: int,
        previous: PreviousResults,
    ) -> None:
        self._sources = sources
        self._exercises = exercises
        self._limits = limits
        self._concurrency = concurrency
        self._previous = previous
        self._graders = {each.slug: progress.hash_of_grader(each) for each in exercises}
        self._queue: queue.SimpleQueue[Step | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()  # for the two attributes below
        self._sessions: set[Session] = set()
        self._closed = False

    def __enter__(self) -> Self:
        self._scratch = Path(tempfile.mkdtemp(prefix="workshop-class-")).resolve()
        self._pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="learner")
        return self

    def __exit__(self, *_: object) -> None:
        with signals_ignored():
            with self._lock:
                self._closed = True
                sessions = list(self._sessions)
            self._pool.shutdown(wait=False, cancel_futures=True)
            for session in sessions:
                session.close()
            self._pool.shutdown()
            remove(self._scratch)

    def __iter__(self) -> Iterator[Step]:
        for number, source in enumerate(self._sources):
            self._pool.submit(self._grade_into_queue, source, self._scratch / f"{number:04}")
        to_come = len(self._sources)
        while to_come:
            step = self._queue.get()
            if isinstance(step, BaseException):
                raise step
            yield step
            to_come -= step.last

    def _grade_into_queue(self, source: Source, scratch: Path) -> None:
        """Grade one learner. It runs in a thread of the pool."""
        try:
            for step in self._steps_of(source, scratch):
                self._queue.put(step)
        except BaseException as error:  # in a thread it would be lost: __iter__ raises it
            self._queue.put(error)
        finally:
            remove(scratch)

    def _steps_of(self, source: Source, scratch: Path) -> Iterator[Step]:
        learner = LearnerResult(source.name)
        scratch.mkdir()
        copied = copy_work(source, self._exercises, scratch / "handed-in")
        learner.problem = replace_unprintable(copied.problem)
        learner.notes = [replace_unprintable(note) for note in copied.notes]
        if copied.problem:
            yield Step(learner, None, 0, last=True)
            return
        to_grade = self._reuse_verdicts(learner, copied)
        yield Step(learner, None, len(to_grade), last=not to_grade)
        if not to_grade:
            return
        for remaining, verdict in self._verdicts(to_grade, scratch):
            verdicts = sorted([*learner.verdicts, verdict], key=lambda each: each.exercise)
            # A new object: the main thread may be reading the old one.
            learner = replace(learner, verdicts=verdicts)
            yield Step(learner, verdict, remaining, last=remaining == 0)

    def _reuse_verdicts(
        self, learner: LearnerResult, copied: CopiedWork
    ) -> list[tuple[Exercise, Path]]:
        """Add the verdicts that still hold to `learner`; return the exercises to grade.

        A starter that the learner has not changed is not graded: nothing of it is the learner's.
        """
        to_grade = []
        for exercise in self._exercises:
            slug = exercise.slug
            if slug not in copied.projects:
                continue
            if work.is_untouched(exercise, copied.projects[slug]):
                learner.verdicts.append(all_tasks(exercise, State.NOT_HANDED_IN))
                learner.notes.append(f"{slug} is the starter, unchanged.")
                continue
            key = learner.cache_keys[slug] = self._cache_key(slug, copied.digests[slug])
            known = self._previous.verdict(learner.name, slug, key)
            if known is None:
                to_grade.append((exercise, copied.projects[slug]))
            else:
                learner.verdicts.append(known)
        return to_grade

    def _cache_key(self, slug: str, digest: str) -> str:
        """A hash of all that a verdict depends on."""
        start_timeout = os.environ.get("WORKSHOP_CHECK_START", "")
        parts = [
            digest,
            self._graders[slug],
            asdict(self._limits),
            start_timeout,
            protection().full,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _verdicts(
        self, projects: list[tuple[Exercise, Path]], scratch: Path
    ) -> Iterator[tuple[int, Verdict]]:
        """The verdicts, and how many remain.

        An exercise that cannot be graded has a verdict, too: State.NOT_CHECKED.
        """
        waiting = [exercise for exercise, _ in projects]
        try:
            with self._session(projects, scratch) as session:
                for verdict in session:
                    if self._closed:
                        return
                    exercise = waiting.pop(0)
                    yield len(waiting), normalised(verdict, ProjectLocation(exercise.slug, scratch))
            if waiting and not self._closed:
                raise KitError("the session ended before its work was done")
        except Exception as error:  # a mistake in the kit must not end the grading of the others
            if self._closed:
                return
            foreseen = isinstance(error, KitError | OSError)
            while waiting:
                exercise = waiting.pop(0)
                code = ProblemCode.ENVIRONMENT if foreseen else ProblemCode.INTERNAL
                why = str(error) if foreseen else f"a mistake of the workshop's: {error!r}"
                verdict = not_checked(exercise, code, why)
                yield len(waiting), normalised(verdict, ProjectLocation(exercise.slug, scratch))

    @contextlib.contextmanager
    def _session(self, projects: list[tuple[Exercise, Path]], scratch: Path) -> Iterator[Session]:
        """A sandbox session that `__exit__` can close."""
        with Session(projects, scratch, self._limits) as session:
            with self._lock:
                self._sessions.add(session)
                closed = self._closed
            if closed:
                session.close()
            try:
                yield session
            finally:
                with self._lock:
                    self._sessions.discard(session)
