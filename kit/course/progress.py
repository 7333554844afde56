"""What the learner has done so far, kept in `.workshop/progress.json`."""

import contextlib
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from kit.course.catalogue import Exercise
from kit.errors import KitError, disk_error
from kit.storage import set_aside, write_whole
from kit.workspace import ROOT, shown, workspace

T = TypeVar("T")

State = Literal["passed", "check again", "skipped", "started", "not started"]
WAITING: tuple[State, ...] = ("started", "not started")


def progress_file() -> Path:
    """Where the progress is kept."""
    return workspace().state / "progress.json"


@dataclass(frozen=True)
class Pass:
    """What exactly passed, by hashes of the work and of the grader, and when."""

    work: str
    grader: str
    at: float


@dataclass
class Record:
    """One exercise. `failures` counts the failed checks since it last passed."""

    passed: Pass | None = None
    skipped: bool = False
    failures: int = 0
    failed: str = ""  # the task that failed in the last check, as "7.1"
    failed_test: str = ""  # the grader's test that failed then
    hints: dict[str, int] = field(default_factory=dict)  # how many were shown, by task
    # The starter as it was when the exercise was opened: a hash of each file.
    starter: dict[str, str] = field(default_factory=dict)


@dataclass
class Progress:
    """All exercises. `last` is the one that the learner turned to last."""

    last: str = ""
    exercises: dict[str, Record] = field(default_factory=dict)

    def of(self, exercise: Exercise) -> Record:
        """The record of an exercise."""
        return self.exercises.setdefault(exercise.slug, Record())

    def state(self, exercise: Exercise) -> State:
        """The state of an exercise. A pass counts only while work and grader are those checked."""
        record = self.of(exercise)
        if record.passed is not None:
            now = (hash_of_work(exercise.work), hash_of_grader(exercise))
            same = now == (record.passed.work, record.passed.grader)
            return "passed" if same else "check again"
        if record.skipped:
            return "skipped"
        return "started" if exercise.work.is_dir() else "not started"

    def current(self, course: Sequence[Exercise]) -> Exercise | None:
        """The exercise to work on: the last one, else the next that waits. None: all done."""
        waiting = [exercise for exercise in course if self.state(exercise) in WAITING]
        last = next((exercise for exercise in course if exercise.slug == self.last), None)
        if last is None:
            return waiting[0] if waiting else None
        if last in waiting or self.state(last) == "check again":
            return last
        return next((each for each in waiting if each.number > last.number), None) or (
            waiting[0] if waiting else None
        )

    def skipped(self, course: Sequence[Exercise]) -> list[Exercise]:
        """The exercises that were left for later."""
        return [exercise for exercise in course if self.state(exercise) == "skipped"]

    def here(self, course: Sequence[Exercise]) -> Exercise:
        """The exercise meant when none is named, also when all are done."""
        last = next((exercise for exercise in course if exercise.slug == self.last), course[-1])
        return self.current(course) or last


def load() -> Progress:
    """The progress so far. A damaged file is set aside, with a line on standard error."""
    try:
        return _read()
    except DAMAGED:
        with _locked():
            return _read_or_set_aside()


@contextlib.contextmanager
def changing() -> Iterator[Progress]:
    """Read, change, write. A lock keeps other processes from writing meanwhile."""
    with _locked():
        progress = _read_or_set_aside()
        yield progress
        try:
            write_whole(progress_file(), to_json(progress))
        except OSError as error:
            raise _unwritable(error) from None


def hash_of_work(folder: Path) -> str:
    """A hash of what a check looks at: the package, and how the project is set up."""
    files = [file for file in folder.glob("nb_runner/**/*") if "__pycache__" not in file.parts]
    return _hash([*files, folder / "pyproject.toml", *folder.glob("poetry.*")], folder)


def hash_of_grader(exercise: Exercise) -> str:
    """A hash of the exercise's own grader, and of the modules that all graders share."""
    shared = [
        file for file in workspace().graders.glob("*.py") if not file.name.startswith("test_")
    ]
    for name in ("kit/grading", "kit/verdicts", "explorer"):
        shared += (ROOT / name).rglob("*.py")
    return _hash([exercise.grader, *shared])


def _hash(files: Sequence[Path], top: Path | None = None) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            name = str(file.relative_to(top)) if top else file.name
            content = file.read_bytes() if os.access(file, os.R_OK) else b""
            digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


DAMAGED = (ValueError, TypeError, KeyError, AttributeError)


def _read() -> Progress:
    """Raises one of DAMAGED for a file that is damaged, or that another program wrote."""
    try:
        text = progress_file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return Progress()
    except OSError as error:
        what = f"{shown(progress_file())} cannot be read"
        raise disk_error(what, error, workspace().state) from None
    return from_json(text)


def from_json(text: str) -> Progress:
    """What `to_json` has written. Raises one of DAMAGED for any other text."""
    told = json.loads(text)
    exercises = {str(slug): _record(**record) for slug, record in told["exercises"].items()}
    return Progress(_checked(str, told["last"]), exercises)


def to_json(progress: Progress) -> bytes:
    """The progress as it is kept in a file."""
    return json.dumps(asdict(progress), indent=1).encode()


# By hand: a pydantic TypeAdapter would make every `./workshop list` a tenth slower.
def _record(
    passed: Any = None,
    skipped: Any = False,
    failures: Any = 0,
    failed: Any = "",
    failed_test: Any = "",
    hints: Any = None,
    starter: Any = None,
) -> Record:
    return Record(
        passed=None if passed is None else Pass(**passed),
        skipped=_checked(bool, skipped),
        failures=_checked(int, failures),
        failed=_checked(str, failed),
        failed_test=_checked(str, failed_test),
        hints=_by_name(int, hints),
        starter=_by_name(str, starter),
    )


def _by_name(kind: type[T], values: Any) -> dict[str, T]:
    return {_checked(str, name): _checked(kind, value) for name, value in (values or {}).items()}


def _checked(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _read_or_set_aside() -> Progress:
    try:
        return _read()
    except DAMAGED:
        aside = set_aside(progress_file())
        print(
            f"workshop: {shown(progress_file())} was damaged, so it is set aside as {aside.name} "
            "and begun anew; your work is as it was (`./workshop check all` passes it again)",
            file=sys.stderr,
        )
        return Progress()


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    try:
        workspace().state.mkdir(parents=True, exist_ok=True)
        lock = (workspace().state / "progress.lock").open("w")
    except OSError as error:
        raise _unwritable(error) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unwritable(error: OSError) -> KitError:
    return disk_error(f"{shown(progress_file())} cannot be written", error, workspace().state)
