"""Programs that import the project: their results, and what is said when there is none."""

import json
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from kit.grading.options import GraderOptions
from kit.grading.programs import start
from kit.grading.programs.own_tests import AS_IT_IS, DEPTH
from kit.grading.programs.start import Program
from kit.grading.submission import Submission
from kit.processes.child import Child
from kit.processes.environment import allowed
from kit.processes.forkserver import PROGRAMS, ForkServer
from kit.verdicts.failure import Wrong

MAIN = """
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

app = FastAPI()
kept = []


@app.post("/start", status_code=202)
{start}
"""
KEEPS = """
async def start(request: Request) -> None:
    kept.append({"client": request.client.host})
"""
FORGETS = """
async def start(request: Request) -> None:
    kept.append({"client": "somebody"})
"""
DECIDES = """
async def start() -> None:
    if kept:
        raise HTTPException(409)
    kept.append(1)
"""
WAITS = """
async def start() -> None:
    if kept:
        raise HTTPException(409)
    import asyncio
    await asyncio.sleep(0)
    kept.append(1)
"""
IN_A_THREAD = """
def start() -> None:
    busy = bool(kept)
    if busy:
        raise HTTPException(409)
    kept.append(1)
"""

OWN_TEST = """
from fastapi.testclient import TestClient

from nb_runner.main import app


def test_ping() -> None:
    assert TestClient(app).get("/ping").json() == {answer!r}
"""
PING = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/ping")
def ping() -> str:
    return "pong"
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def submission(tmp_path: Path) -> Iterator[Submission]:
    package = tmp_path / "04-project" / "nb_runner"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    with Submission(package.parent, GraderOptions()) as submission:
        yield submission


def write(submission: Submission, text: str) -> None:
    (submission.folder / "nb_runner" / "main.py").write_text(text)


@pytest.mark.parametrize(("start", "kept"), [(KEEPS, True), (FORGETS, False)])
def test_what_is_kept_of_a_client(submission: Submission, start: str, kept: bool) -> None:
    write(submission, MAIN.replace("{start}", start))
    found = Program(submission, "kept").result("curl", "a record", "main.py")
    assert found == {"status": 202, "kept": kept}


@pytest.mark.parametrize(
    ("start", "place"),
    [(DECIDES, ""), (WAITS, "await asyncio.sleep(0)"), (IN_A_THREAD, "if busy:")],
)
def test_two_starts_that_overlap(submission: Submission, start: str, place: str) -> None:
    write(submission, MAIN.replace("{start}", start))
    found = Program(submission, "overlap").result("curl", "one 202", "main.py")
    assert bool(found) == bool(place), json.dumps(found)
    if found:
        assert (found["first_status"], found["second_status"]) == (202, 202)
        assert found["first_held"].startswith("nb_runner/main.py, line ")
        assert found["first_held"].endswith(place)


def test_a_project_that_cannot_be_imported_is_said(submission: Submission) -> None:
    write(submission, "raise RuntimeError('no')\n")
    with pytest.raises(Wrong) as raised:
        Program(submission, "kept").result("curl", "a record", "main.py")
    assert raised.value.got == "nb_runner/main.py, line 1: RuntimeError: no"


def test_a_program_that_does_not_end_is_ended(
    submission: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "TIMEOUT", 0.5)
    write(submission, "import time\n\ntime.sleep(600)\n")
    with pytest.raises(Wrong, match=r"it was not done after 0\.5 s"):
        Program(submission, "kept").result("curl", "a record", "main.py")


def own_tests(submission: Submission, answer: str) -> dict[str, Any]:
    """How many tests passed and failed, with a test that expects `answer`."""
    write(submission, PING)
    (submission.folder / "pyproject.toml").touch()
    test = OWN_TEST.format(answer=answer)
    (submission.folder / "nb_runner" / "test_main.py").write_text(test)
    found = Program(submission, "own_tests").result("pytest", "its end", "test_main.py")
    return {name: (run["passed"], len(run["failed"])) for name, run in found.items()}


def test_own_tests_see_the_app_as_it_is_and_wrong_answers(submission: Submission) -> None:
    # The test does not look at the status.
    expected = {AS_IT_IS: (1, 0), "another word": (0, 1), "another status": (1, 0)}
    assert own_tests(submission, "pong") == expected


def test_own_tests_that_fail_on_the_app_as_it_is_are_not_run_again(submission: Submission) -> None:
    assert own_tests(submission, "something else") == {AS_IT_IS: (0, 1)}


@pytest.mark.parametrize(("depth", "count"), [(DEPTH - 1, 2), (DEPTH, 1)])
def test_how_deep_own_tests_are_looked_for(submission: Submission, depth: int, count: int) -> None:
    folder = submission.folder.joinpath(*["deep"] * depth)
    folder.mkdir(parents=True)
    (folder / "test_deep.py").write_text("def test_nothing(): ...\n")
    assert own_tests(submission, "pong")[AS_IT_IS] == (count, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="libraries of macOS do not survive a fork")
def test_the_fork_server_forks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    wait = Child.wait

    def look(child: Child, timeout: float) -> int:
        commands.append(psutil.Process(child.pid).cmdline())
        (tmp_path / "go on").touch()
        return wait(child, timeout)

    monkeypatch.setattr(Child, "wait", look)
    held = f"while not Path({str(tmp_path / 'go on')!r}).exists(): time.sleep(0.02)"
    package = tmp_path / "04-project" / "nb_runner"
    package.mkdir(parents=True)
    source = f"import time\nfrom pathlib import Path\n\n{held}\n" + MAIN
    (package / "main.py").write_text(source.replace("{start}", KEEPS))
    env = allowed(os.environ)
    with ForkServer(tmp_path / "log", env) as server:
        options = GraderOptions(fork_server=server.client)
        with Submission(package.parent, options) as submission:
            found = Program(submission, "kept").result("curl", "a record", "main.py")
    assert found == {"status": 202, "kept": True}
    assert [command[-3:] for command in commands] == [["-m", "kit.processes.forkserver", "uvicorn"]]


def test_the_fork_server_knows_programs_that_are_there() -> None:
    assert [program for program in PROGRAMS if find_spec(program) is None] == []
