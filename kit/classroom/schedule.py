"""Who is graded when: some learners at once, each in a scratch folder that goes with them."""

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

from kit.classroom.intake.copying import Copied, copy_work
from kit.classroom.intake.sources import Source
from kit.classroom.normalise import Places, normalised, printable
from kit.classroom.reports.json_report import Earlier
from kit.classroom.results import LearnerResult
from kit.course import progress
from kit.course.catalogue import Exercise
from kit.errors import KitError
from kit.grading.verdict import ProblemCode, Verdict, not_checked
from kit.sandbox.bubblewrap import protection
from kit.sandbox.cleanup import remove
from kit.sandbox.limits import Limits
from kit.sandbox.session import Session

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Clear up in peace: who presses Ctrl-C once more has to wait for it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Step:
    """Something came of a learner: what is to be graded (`verdict` is None), or a verdict.

    `left`: so many exercises of theirs are still to be graded. `over`: nothing more will come.
    """

    learner: LearnerResult
    verdict: Verdict | None
    left: int
    over: bool = False


class Schedule:
    """The grading of a class. Iterate to have it done, and to hear of it as it comes.

    What an `earlier` grading found out about just that work is not asked again. Left by an
    exception, Ctrl-C among them, it ends everything that it started.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        exercises: Sequence[Exercise],
        limits: Limits,
        *,
        at_once: int,
        earlier: Earlier,
    ) -> None:
        self._sources = sources
        self._exercises = exercises
        self._limits = limits
        self._at_once = at_once
        self._earlier = earlier
        self._graders = {each.slug: progress.hash_of_grader(each) for each in exercises}
        self._steps: queue.SimpleQueue[Step | BaseException] = queue.SimpleQueue()
        self._lock = threading.Lock()  # for these two
        self._sessions: set[Session] = set()
        self._closed = False

    def __enter__(self) -> Self:
        self._place = Path(tempfile.mkdtemp(prefix="workshop-class-")).resolve()
        self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="learner")
        return self

    def __exit__(self, *_: object) -> None:
        with undisturbed():
            with self._lock:
                self._closed = True
                sessions = list(self._sessions)
            self._pool.shutdown(wait=False, cancel_futures=True)
            for session in sessions:
                session.close()
            self._pool.shutdown()
            remove(self._place)

    def __iter__(self) -> Iterator[Step]:
        for number, source in enumerate(self._sources):
            self._pool.submit(self._run, source, self._place / f"{number:04}")
        to_come = len(self._sources)
        while to_come:
            step = self._steps.get()
            if isinstance(step, BaseException):
                raise step
            yield step
            to_come -= step.over

    def _run(self, source: Source, scratch: Path) -> None:
        """In a thread: all of one learner."""
        try:
            for step in self._grade(source, scratch):
                self._steps.put(step)
        except BaseException as error:  # where nobody would see it
            self._steps.put(error)
        finally:
            remove(scratch)

    def _grade(self, source: Source, scratch: Path) -> Iterator[Step]:
        learner = LearnerResult(source.name)
        scratch.mkdir()
        copied = copy_work(source, self._exercises, scratch / "handed-in")
        learner.problem = printable(copied.problem)
        learner.notes = [printable(note) for note in copied.notes]
        if copied.problem:
            yield Step(learner, None, 0, over=True)
            return
        to_grade = self._reuse(learner, copied)
        yield Step(learner, None, len(to_grade), over=not to_grade)
        if not to_grade:
            return
        for left, verdict in self._verdicts(to_grade, scratch):
            verdicts = sorted([*learner.verdicts, verdict], key=lambda each: each.exercise)
            learner = replace(learner, verdicts=verdicts)  # who has the one before may be reading
            yield Step(learner, verdict, left, over=left == 0)

    def _reuse(self, learner: LearnerResult, copied: Copied) -> list[tuple[Exercise, Path]]:
        """Take over what is known already, and return what is not."""
        to_grade = []
        for exercise in self._exercises:
            slug = exercise.slug
            if slug not in copied.projects:
                continue
            key = learner.keys[slug] = self._key(slug, copied.digests[slug])
            known = self._earlier.verdict(learner.name, slug, key)
            if known is None:
                to_grade.append((exercise, copied.projects[slug]))
            else:
                learner.verdicts.append(known)
        return to_grade

    def _key(self, slug: str, digest: str) -> str:
        """What a verdict depends on, as a hash."""
        patience = os.environ.get("WORKSHOP_CHECK_START", "")
        parts = [digest, self._graders[slug], asdict(self._limits), patience, protection().full]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def _verdicts(
        self, projects: list[tuple[Exercise, Path]], scratch: Path
    ) -> Iterator[tuple[int, Verdict]]:
        """The verdicts, and how many are left. That it cannot be graded at all is one, too."""
        waiting = [exercise for exercise, _ in projects]
        try:
            with self._session(projects, scratch) as session:
                for verdict in session:
                    if self._closed:
                        return
                    exercise = waiting.pop(0)
                    yield len(waiting), normalised(verdict, Places(exercise.slug, scratch))
            if waiting and not self._closed:
                raise KitError("the session ended before its work was done")
        except Exception as error:  # a mistake of ours, too, must not be the end of the others
            if self._closed:
                return
            foreseen = isinstance(error, KitError | OSError)
            while waiting:
                exercise = waiting.pop(0)
                code = ProblemCode.ENVIRONMENT if foreseen else ProblemCode.INTERNAL
                why = str(error) if foreseen else f"a mistake of the workshop's: {error!r}"
                verdict = not_checked(exercise, code, why)
                yield len(waiting), normalised(verdict, Places(exercise.slug, scratch))

    @contextlib.contextmanager
    def _session(self, projects: list[tuple[Exercise, Path]], scratch: Path) -> Iterator[Session]:
        """A session that `__exit__` knows of."""
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
