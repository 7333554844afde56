"""`./workshop run` on a small project: starting it, reading its output, ending it."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from kit.workspace import ROOT
from tests.support.processes import Mark, eventually

TASKS = """
import os

from celery import Celery

app = Celery("small", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])


@app.task(name="look")
def look(name: str) -> list[str | None]:
    return [os.environ.get(name), str(os.getpid())]
"""

MAIN = """
import os

from fastapi import FastAPI

from nb_runner.tasks import look

app = FastAPI()


@app.post("/look/{name}")
def start(name: str) -> dict[str, str | None]:
    worker, pid = look.delay(name).get(timeout=60)
    return {"api": os.environ.get(name), "api_pid": str(os.getpid()), "worker": worker, "pid": pid}
"""


def make_project(folder: Path) -> Path:
    """A project with an API and a worker."""
    package = folder / "nb_runner"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(TASKS)
    (package / "main.py").write_text(MAIN)
    return folder


class RunCommand:
    """A process of `./workshop run`, and its output so far."""

    def __init__(self, folder: Path, *arguments: str | Path, **env: str) -> None:
        self.mark = Mark()
        self._output = folder / f"output-{uuid.uuid4().hex[:6]}"
        clean = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        state = {"WORKSHOP_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT)}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kit", "run", "--port", "0", *arguments],
                cwd=folder,
                env={**clean, **state, **self.mark.env, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self._output.read_text()

    def ready(self) -> str:
        """Wait for the line that says `ready`. Returns the URL in it."""
        self.wait_for(r"^ready (http\S+)$")
        found = re.search(r"^ready (http\S+)$", self.text, re.MULTILINE)
        assert found
        return found[1]

    def wait_for(self, pattern: str) -> None:
        def check() -> bool:
            found = re.search(pattern, self.text, re.MULTILINE) is not None
            assert found or self.process.poll() is None, self.text
            return found

        eventually(check, f"{pattern!r} in the output of run")

    def pids(self, name: str) -> list[int]:
        """The process ids that `run` printed for a child, in order."""
        return [int(pid) for pid in re.findall(rf"{name} started.* \(pid (\d+)\)", self.text)]

    def exit_code(self) -> int:
        return self.process.wait(60)

    def assert_nothing_is_left(self) -> None:
        assert self.mark.commands() == []


def look(url: str, name: str) -> dict[str, str]:
    answer = httpx.post(f"{url}/look/{name}", timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


Start = Callable[..., RunCommand]


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Starts `./workshop run` with its state in `folder`. At the end, all its processes end."""
    runs: list[RunCommand] = []

    def start(*arguments: str | Path, **env: str) -> RunCommand:
        runs.append(RunCommand(folder, *arguments, **env))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        eventually(lambda run=run: not run.mark.processes(), "all to end")  # type: ignore[misc]
