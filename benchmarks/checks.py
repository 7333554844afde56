"""How long a learner waits for a verdict, beside what the programs need that are checked."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from benchmarks.harness import (
    Measurement,
    Report,
    Say,
    Target,
    learners_env,
    timed,
    workshop,
)
from kit.errors import KitError
from kit.processes.ports import free_port
from kit.processes.stack import Stack
from kit.workspace import ROOT, workspace

HELLO, ALONE = "02-hello-fastapi", "07-one-at-a-time"
API, WORKER = "bare uvicorn and a request", "bare worker and a task"
CHECK_API, CHECK_WORKER = "check 02", "check 07"
SAVE_API, SAVE_WORKER = "watch 02, after a save", "watch 07, after a save"
ALL = "check all --in solutions"
# The exercises that take longest, and the seconds that a learner may have to wait for each.
LONGEST = {"check 08": 4, "check 10": 8, "check 11": 8, "check 12": 12, "check 13": 8}
TIMEOUT = 240.0  # seconds
HOW = (
    "Solutions, as new processes and by turns. Bare: `python -m uvicorn` until its first answer, "
    "on exercise 02; `celery worker` until the result of a task that is sent to it, on 07, with "
    "Redis up already. Checks: `./workshop check` from start to end, their own Redis included. "
    "Watch: from the write of a file to the verdict. All: three at a time, and each one's own time."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Floors, checks, saves in `watch`, and the whole course."""
    rounds = repeat or 5
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name, Stack(Path(name)) as stack:
        course = copy_of_the_course(Path(name) / "course")
        env = course_env(course)
        workshop("--help", env=env)  # a lock that has changed is set up now, and not in a sample
        parts: dict[str, Callable[[], object]] = {
            API: _one_request,
            CHECK_API: partial(_check, "02", env),
            WORKER: partial(_one_task, stack.redis()),
            CHECK_WORKER: partial(_check, "07", env),
            **{what: partial(_check, what.split()[1], env) for what in LONGEST},
        }
        for i in range(rounds):
            for what, part in parts.items():
                say(f"{what}, {i + 1} of {rounds}")
                seconds.setdefault(what, []).append(timed(part))
        for what, slug in ((SAVE_API, HELLO), (SAVE_WORKER, ALONE)):
            say(what)
            seconds[what] = list(saves(course, slug, env, rounds))
        for i in range(1 if repeat is None else repeat):
            say(f"{ALL}, {i + 1}")
            for what, took in _check_all(env).items():
                seconds.setdefault(what, []).append(took)
    peers = {CHECK_API: API, CHECK_WORKER: WORKER}
    return Report(
        "Checks",
        HOW,
        [Measurement(what, took, peer=peers.get(what, "")) for what, took in seconds.items()],
        [
            Target(CHECK_API, "ratio", "at most", 4),  # runs the learner's own tests three times
            Target(CHECK_WORKER, "ratio", "at most", 4),  # some schedules wait for a lock
            *(Target(what, "median", "at most", seconds) for what, seconds in LONGEST.items()),
            Target(SAVE_API, "median", "at most", 1),
            Target(SAVE_WORKER, "median", "at most", 4),
            Target(ALL, "median", "at most", 35),
        ],
    )


def copy_of_the_course(folder: Path) -> Path:
    """So that nobody's own work is touched."""
    unwanted = shutil.ignore_patterns("__pycache__", ".venv")
    course = workspace().course
    for part in ("exercises", "solutions", str(workspace().graders.relative_to(course))):
        shutil.copytree(course / part, folder / part, ignore=unwanted)
    return folder


def course_env(course: Path) -> dict[str, str]:
    more = {"WORKSHOP_COURSE": str(course), "WORKSHOP_STATE": str(course / ".workshop")}
    return learners_env() | more


def _one_request() -> None:
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "nb_runner.main:app", "--port", str(port)]
    with _running(argv, workspace().solutions / HELLO, dict(os.environ)):
        _until(lambda: _answers(f"http://127.0.0.1:{port}/ping"), "uvicorn to answer")


def _one_task(url: str) -> None:
    from celery import Celery

    argv = [sys.executable, "-m", "celery", "-A", "nb_runner.tasks", "worker"]
    with _running(
        [*argv, "--concurrency", "1"],
        workspace().solutions / ALONE,
        os.environ | {"REDIS_URL": url},
    ):
        app = Celery(broker=url, backend=url)
        app.send_task("nb_runner.run_notebook", (0, 10)).get(timeout=TIMEOUT, interval=0.01)


@contextmanager
def _running(argv: list[str], folder: Path, env: dict[str, str]) -> Iterator[None]:
    """A program as anybody would start it. Its end is quick, and so hardly counts."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        argv, cwd=folder, env=env, stdout=quiet, stderr=quiet, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, 9)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _check(n: str, env: dict[str, str]) -> None:
    workshop("check", n, "--in", str(workspace().solutions), env=env)


def _check_all(env: dict[str, str]) -> dict[str, float]:
    began = time.perf_counter()
    said = workshop("check", "all", "--in", str(workspace().solutions), "--json", env=env)
    whole = time.perf_counter() - began
    each = {f"check {told['exercise']}, of all": told["seconds"] for told in json.loads(said)}
    return {ALL: whole} | each


def saves(course: Path, slug: str, env: dict[str, str], rounds: int) -> Iterator[float]:
    """Save a right solution again and again, each time a little different."""
    said = course / f"said-{slug}"
    shutil.copytree(course / "solutions" / slug, course / "work" / slug)
    file = course / "work" / slug / "nb_runner" / "main.py"
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "workshop", "watch", slug[:2]],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        _until(partial(_passed, said, 1), "the first verdict")
        for i in range(2, rounds + 2):
            time.sleep(0.5)  # as nobody saves the moment that a verdict is there
            began = time.perf_counter()
            with file.open("a") as end:
                end.write(f"# {i}\n")
            _until(partial(_passed, said, i), f"verdict {i}")
            yield time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _passed(said: Path, times: int) -> bool:
    return said.read_text().count(": passed, ") == times


def _until(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not there():
        if time.monotonic() > deadline:
            raise KitError(f"waited {TIMEOUT:g} s for {what}, in vain")
        time.sleep(0.005)
