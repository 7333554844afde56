"""`./workshop run`, driven as a user drives it, on a small project."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from kit.paths import ROOT
from kit.ports import free_socket
from tests.processes import Mark, eventually

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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "small project" / "nb_runner"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(TASKS)
    (package / "main.py").write_text(MAIN)
    return package.parent


class Run:
    """A running `run` and what it said so far."""

    def __init__(self, folder: Path, *arguments: str | Path, **env: str) -> None:
        self.mark = Mark()
        self.said = folder / f"said-{uuid.uuid4().hex[:6]}"
        clean = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        state = {"WORKSHOP_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT)}
        with self.said.open("wb") as output:
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
        return self.said.read_text()

    def ready(self) -> str:
        """Wait for the ready line; the URL in it."""
        self.wait_for(r"^ready (http\S+)$")
        found = re.search(r"^ready (http\S+)$", self.text, re.MULTILINE)
        assert found
        return found[1]

    def wait_for(self, pattern: str) -> None:
        def check() -> bool:
            said = re.search(pattern, self.text, re.MULTILINE) is not None
            assert said or self.process.poll() is None, self.text
            return said

        eventually(check, f"{pattern!r} in what run says")

    def pids(self, name: str) -> list[int]:
        """Process ids announced for a child, in order."""
        return [int(pid) for pid in re.findall(rf"{name} started.* \(pid (\d+)\)", self.text)]

    def code(self) -> int:
        return self.process.wait(60)

    def assert_nothing_is_left(self) -> None:
        assert self.mark.commands() == []


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def start(*arguments: str | Path, **env: str) -> Run:
        runs.append(Run(tmp_path, *arguments, **env))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        eventually(lambda run=run: not run.mark.processes(), "all to end")  # type: ignore[misc]


def look(url: str, name: str) -> dict[str, str]:
    answer = httpx.post(f"{url}/look/{name}", timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_post_reaches_the_worker_and_a_signal_stops_all_in_order(
    start: Start, project: Path, number: int
) -> None:
    run = start("--path", project, MY_OWN="passed on")
    url = run.ready()
    seen = look(url, "MY_OWN")
    assert (seen["api"], seen["worker"]) == ("passed on", "passed on")
    assert seen["pid"] != seen["api_pid"]
    kinds = " ".join(run.mark.commands())
    assert all(kind in kinds for kind in ("uvicorn", "celery", "redis", "leash.py"))
    run.process.send_signal(number)
    assert run.code() == 0
    run.assert_nothing_is_left()
    assert "Application shutdown complete" in run.text
    assert "Warm shutdown" in run.text
    assert not list((project.parent / "state").glob("redis-*"))
    logs = {log.name for log in project.parent.glob("state/logs/*/*.log")}
    assert {"api-1.log", "worker-1.log", "redis.log"} <= logs


def test_lines_carry_names_without_colour_where_there_is_no_terminal(
    start: Start, project: Path
) -> None:
    run = start("--path", project, "--api", "2", "--workers", "2")
    run.ready()
    assert "\x1b" not in run.text
    for name in ("api-1   ", "api-2   ", "worker-1", "worker-2"):
        assert re.search(rf"^{name} \| .+", run.text, re.MULTILINE), run.text


def test_children_get_defaults_and_what_the_user_set_wins(start: Start, project: Path) -> None:
    run = start("--path", project, DATABASE_URL="sqlite:////somewhere/else.db")
    url = run.ready()
    assert look(url, "DATABASE_URL")["worker"] == "sqlite:////somewhere/else.db"
    artifacts = look(url, "ARTIFACTS_DIR")
    assert artifacts["worker"] == str(project.parent / "state" / "artifacts") == artifacts["api"]
    assert look(url, "NOTEBOOK_PATH")["worker"] == str(ROOT / "notebooks" / "hello.ipynb")


def test_the_option_for_the_notebook_wins_over_the_variable(start: Start, project: Path) -> None:
    (project.parent / "mine.ipynb").write_text("{}")
    run = start("--path", project, "--notebook", "mine.ipynb", NOTEBOOK_PATH="other.ipynb")
    mine = str(project.parent / "mine.ipynb")
    assert look(run.ready(), "NOTEBOOK_PATH")["worker"] == mine


def test_a_killed_worker_is_announced_and_started_again(start: Start, project: Path) -> None:
    run = start("--path", project)
    url = run.ready()
    [pid] = run.pids("worker-1")
    os.kill(pid, signal.SIGKILL)
    run.wait_for("worker-1 died: killed by SIGKILL")
    run.wait_for("worker-1 started again")
    assert look(url, "HOME")["pid"] != str(pid)
    assert len(run.pids("worker-1")) == 2


def test_a_killed_api_process_is_started_again_on_the_same_port(
    start: Start, project: Path
) -> None:
    run = start("--path", project)
    url = run.ready()
    [pid] = run.pids("api-1")
    os.kill(pid, signal.SIGKILL)
    run.wait_for("api-1 started again")
    assert look(url, "HOME")["api_pid"] == str(run.pids("api-1")[1])


def test_without_restart_the_others_go_on_until_no_api_is_left(start: Start, project: Path) -> None:
    run = start("--path", project, "--api", "2", "--no-restart")
    url = run.ready()
    os.kill(run.pids("api-1")[0], signal.SIGKILL)
    run.wait_for("api-1 died: killed by SIGKILL")
    assert look(url, "HOME")["api_pid"] == str(run.pids("api-2")[0])
    os.kill(run.pids("api-2")[0], signal.SIGKILL)
    assert run.code() == 1
    assert "no API process is left" in run.text
    assert "started again" not in run.text
    run.assert_nothing_is_left()


def test_a_process_that_dies_at_once_each_time_is_given_up(start: Start, project: Path) -> None:
    flag = project / "broken"
    main = project / "nb_runner" / "main.py"
    main.write_text(f"import pathlib\nassert not pathlib.Path({str(flag)!r}).exists()\n{MAIN}")
    run = start("--path", project)
    run.ready()
    flag.touch()
    os.kill(run.pids("api-1")[0], signal.SIGKILL)
    assert run.code() == 1
    assert run.text.count("api-1 died: exit code 1") >= 2
    assert "that is enough" in run.text
    run.assert_nothing_is_left()


def test_a_project_that_does_not_import_says_so_and_where(start: Start, project: Path) -> None:
    (project / "nb_runner" / "main.py").write_text("import no_such_module\n")
    run = start("--path", project)
    assert run.code() == 1
    assert "api-1 ended (exit code 1)" in run.text
    assert "No module named 'no_such_module'" in run.text
    assert 'File "' + str(ROOT / "kit") not in run.text  # no traceback of ours
    run.assert_nothing_is_left()


def test_a_project_without_tasks_runs_without_a_worker(start: Start, project: Path) -> None:
    (project / "nb_runner" / "tasks.py").unlink()
    (project / "nb_runner" / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    run = start("--path", project)
    assert httpx.get(run.ready(), trust_env=False).status_code == 404
    assert not run.pids("worker-1")


def test_a_second_interrupt_kills_what_does_not_want_to_stop(start: Start, project: Path) -> None:
    (project / "nb_runner" / "tasks.py").write_text(
        TASKS.replace("return", "import time; print('asleep', flush=True); time.sleep(600); return")
    )
    run = start("--path", project)
    url = run.ready()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/look/HOME", timeout=0.1, trust_env=False)
    run.wait_for("asleep")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("stopping")
    run.process.send_signal(signal.SIGINT)
    assert run.code() == 130
    run.assert_nothing_is_left()


def test_nothing_outlives_a_run_that_is_killed(start: Start, project: Path) -> None:
    run = start("--path", project)
    run.ready()
    assert len(run.mark.processes()) > 3
    run.process.kill()
    run.process.wait()
    eventually(lambda: not run.mark.processes(), "all to end")


def test_a_port_in_use_is_said_before_anything_is_started(start: Start, project: Path) -> None:
    with free_socket() as sock:
        port = sock.getsockname()[1]
        run = start("--path", project, "--port", str(port))
        assert run.code() == 2
    assert f"port {port} is in use" in run.text
    if sys.platform == "linux":
        assert psutil.Process().name() in run.text
    assert "--port" in run.text


def test_an_imitation_of_redis_is_refused_where_it_cannot_do(start: Start, project: Path) -> None:
    late = project.rename(project.with_name("12-survive-a-crash"))
    run = start("--path", late, WORKSHOP_REDIS="fakeredis")
    assert run.code() == 2
    assert "12-survive-a-crash needs a real Redis" in run.text
    assert "exercises 02 to 10 only" in run.text
    run.assert_nothing_is_left()
