"""How fast a class is graded, beside `./workshop check` on the same work, one exercise by one."""

import shutil
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.harness import Measurement, Report, Say, Target, timed, workshop
from kit.course.catalogue import Exercise, load

FIRST, LAST = 2, 10  # exercises
LEARNERS = 4
CHECK, ONE, TWO = "check, one by one", "grade --jobs 1", "grade --jobs 2"
HOW = (
    f"Submissions a minute; a submission is one learner's exercises {FIRST:02} to {LAST}, all "
    f"right. Grade: a class of {LEARNERS}, from the command to its exit code, reports written. "
    "Check: `./workshop check N` for each exercise of one learner, one after the other. By turns."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Check, and grade with one job and with two."""
    rounds = repeat or 3
    exercises = [each for each in load() if FIRST <= each.number <= LAST]
    rates: dict[str, list[float]] = {CHECK: [], ONE: [], TWO: []}
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        room = Path(name) / "class"
        for learner in range(1, LEARNERS + 1):
            _hand_in(exercises, room / f"learner-{learner}")
        for i in range(1, rounds + 1):
            say(f"{CHECK}, {i} of {rounds}")
            alone = timed(partial(_check, exercises, room / "learner-1"))
            rates[CHECK].append(60 / alone)
            for what, jobs in ((ONE, 1), (TWO, 2)):
                say(f"{what}, {i} of {rounds}")
                took = timed(partial(_grade, room, jobs, Path(name) / "grades"))
                rates[what].append(60 * LEARNERS / took)
    return Report(
        "Grading",
        HOW,
        [
            Measurement(CHECK, rates[CHECK], "/min"),
            Measurement(ONE, rates[ONE], "/min", peer=CHECK),
            Measurement(TWO, rates[TWO], "/min", peer=CHECK),
        ],
        [Target(TWO, "ratio", "at least", 1.6)],
    )


def _hand_in(exercises: list[Exercise], repository: Path) -> None:
    unwanted = shutil.ignore_patterns("__pycache__", ".venv")
    for exercise in exercises:
        target = repository / "work" / exercise.slug
        shutil.copytree(exercise.solution, target, ignore=unwanted)


def _check(exercises: list[Exercise], repository: Path) -> None:
    for exercise in exercises:
        workshop("check", f"{exercise.number:02}", "--in", str(repository / "work"))


def _grade(room: Path, jobs: int, out: Path) -> None:
    workshop("grade", str(room), "--jobs", str(jobs), "--out", str(out))
