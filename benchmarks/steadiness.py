"""All solutions, again and again, while every core is busy with something else: none may fail."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.harness import Measurement, Report, Say, Target
from kit.checking.grader_process import grade_all
from kit.checking.wording import problem_text, task_text
from kit.course import catalogue
from kit.grading.options import GraderOptions
from kit.verdicts.verdict import Verdict
from kit.workspace import workspace

ROUND, FAILED = "a round", "failures"
BURNER = "while True: pass"
HOW = (
    "`check all --in solutions`, all tasks, two exercises at a time, beside one process for each "
    "core that computes without end. A failure is an exercise of one round."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Seconds for a round, and how many exercises failed in it."""
    rounds, failures = [], []
    projects = [
        (each, workspace().solutions / each.slug)
        for each in catalogue.load()
        if (workspace().solutions / each.slug / "pyproject.toml").is_file()
    ]
    with busy_cores():
        for i in range(1, (repeat or 20) + 1):
            began = time.perf_counter()
            failed = 0
            for _, verdict in grade_all(projects, GraderOptions(), at_once=2):
                if not verdict.passed:
                    failed += 1
                    say(f"round {i}: {why(verdict)}")
            rounds.append(time.perf_counter() - began)
            failures.append(float(failed))
            say(f"round {i}: {len(projects) - failed} of {len(projects)}, {rounds[-1]:.0f} s")
    worst = f"{FAILED}, all rounds"
    return Report(
        "Steadiness",
        HOW,
        [
            Measurement(ROUND, rounds),
            Measurement(FAILED, failures, ""),
            Measurement(worst, [sum(failures)], ""),
        ],
        [Target(worst, "median", "at most", 0)],
    )


@contextmanager
def busy_cores() -> Iterator[None]:
    """A process for each core that takes all it can get."""
    cores = range(psutil.cpu_count() or 1)
    burners = [subprocess.Popen([sys.executable, "-I", "-S", "-c", BURNER]) for _ in cores]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def why(verdict: Verdict) -> str:
    """What failed, with all that was said."""
    failed = [task for task in verdict.tasks if not task.passed]
    told = [f"{task.number} {task.title}\n{task_text(task)}" for task in failed[:1]]
    problem = [problem_text(verdict.problem)] if verdict.problem else []
    return "\n".join([f"{verdict.exercise} failed", *problem, *told])
