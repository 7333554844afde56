"""`./workshop run`, driven as a user drives it, on a small project."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from kit.processes.ports import free_socket
from kit.workspace import ROOT
from tests.support.processes import eventually
from tests.support.run_command import MAIN, TASKS, Start, look, make_project, starting
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.longest]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "small project")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as start:
        yield start


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
    assert all(kind in kinds for kind in ("offline_docs.py", "celery", "redis", "leash.py"))
    run.process.send_signal(number)
    assert run.exit_code() == 0
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
    elsewhere = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0", "UVICORN_WORKERS": "3"}
    run = start("--path", project, DATABASE_URL="sqlite:////somewhere/else.db", **elsewhere)
    url = run.ready()
    assert "without   CELERY_BROKER_URL, UVICORN_WORKERS: " in run.text
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


def test_a_file_that_changed_is_told_and_only_asked_for_is_there_a_restart(
    start: Start, project: Path
) -> None:
    run = start("--path", project)
    url = run.ready()
    (project / "nb_runner" / "main.py").write_text(MAIN.replace("/look/", "/seen/"))
    run.wait_for("nb_runner/main.py changed since the start; `run --reload` restarts")
    assert look(url, "HOME")["api_pid"] == str(run.pids("api-1")[0])


def test_with_reload_a_save_restarts_all_but_redis(start: Start, project: Path) -> None:
    run = start("--path", project, "--reload")
    url = run.ready()
    before = look(url, "HOME")
    main = project / "nb_runner" / "main.py"
    main.write_text("import no_such_module\n")
    run.wait_for("nb_runner/main.py saved: restarting")
    run.wait_for("api-1 died: exit code 1")
    main.write_text(MAIN)
    eventually(lambda: len(run.pids("worker-1")) > 2, "the second restart")
    eventually(lambda: answers(url), "the API to answer")
    after = look(url, "HOME")
    assert after["api_pid"] != before["api_pid"]
    assert after["pid"] != before["pid"]
    assert not run.pids("redis")


def test_at_a_terminal_r_restarts(project: Path, tmp_path: Path) -> None:
    env = {**os.environ, "WORKSHOP_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}
    words = ("run", "--port", "0", "--path", str(project))
    with Terminal(*words, cwd=tmp_path, env=env) as screen:
        screen.wait_for("Ctrl-C stops all of it")
        (project / "nb_runner" / "main.py").write_text(MAIN + "\n")
        screen.wait_for("nb_runner/main.py changed since the start; press r to restart")
        screen.press("r")
        screen.wait_for("api-1 started again")
        screen.wait_for("worker-1 started again")
        screen.press("\x03")
        assert screen.wait() == 0
        assert screen.modes() == screen.before


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code == 404
    except httpx.HTTPError:
        return False


def test_without_restart_the_others_go_on_until_no_api_is_left(start: Start, project: Path) -> None:
    run = start("--path", project, "--api", "2", "--no-restart")
    url = run.ready()
    os.kill(run.pids("api-1")[0], signal.SIGKILL)
    run.wait_for("api-1 died: killed by SIGKILL")
    assert look(url, "HOME")["api_pid"] == str(run.pids("api-2")[0])
    os.kill(run.pids("api-2")[0], signal.SIGKILL)
    assert run.exit_code() == 1
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
    assert run.exit_code() == 1
    assert run.text.count("api-1 died: exit code 1") >= 2
    assert "that is enough" in run.text
    run.assert_nothing_is_left()


def test_a_project_that_does_not_import_says_so_and_where(start: Start, project: Path) -> None:
    (project / "nb_runner" / "main.py").write_text("import no_such_module\n")
    run = start("--path", project)
    assert run.exit_code() == 1
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
    # On a busy machine it may come when Python is ending, and kills it: 130 in a shell, too.
    assert run.exit_code() in (130, -signal.SIGINT)
    run.assert_nothing_is_left()


def test_a_job_that_is_cut_short_is_told_in_a_line(start: Start) -> None:
    run = start("04", "--solution")
    started = httpx.post(f"{run.ready()}/start", json={"seconds": 60}, trust_env=False)
    assert started.status_code == 202
    run.process.send_signal(signal.SIGINT)
    assert run.exit_code() == 0
    assert "Cut short: a request, or its background job, was still at work." in run.text
    assert "Traceback" not in run.text
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
        assert run.exit_code() == 2
    assert f"port {port} is in use" in run.text
    if sys.platform == "linux":
        assert psutil.Process().name() in run.text
    assert "--port" in run.text


def test_an_imitation_of_redis_is_refused_where_it_cannot_do(start: Start, project: Path) -> None:
    late = project.rename(project.with_name("12-survive-a-crash"))
    run = start("--path", late, WORKSHOP_REDIS="fakeredis")
    assert run.exit_code() == 2
    assert "12-survive-a-crash needs a real Redis" in run.text
    assert "exercises 02 to 10 only" in run.text
    run.assert_nothing_is_left()


def test_the_documentation_pages_load_nothing_from_elsewhere(start: Start, project: Path) -> None:
    url = start("--path", project).ready()
    for page in ("/docs", "/redoc"):
        html = httpx.get(url + page, trust_env=False).text
        files = re.findall(r'(?:src|href)="([^"]+)"', html)
        assert len(files) > 1
        for file in files:
            assert file.startswith("/static-offline-docs/")
            answer = httpx.get(url + file, trust_env=False)
            assert (answer.status_code, len(answer.content) > 0) == (200, True), file
    paths = httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
    assert list(paths) == ["/look/{name}"]


def test_exercise_01_has_nothing_to_run_and_says_so(start: Start) -> None:
    run = start("1", "--solution")
    assert run.exit_code() == 2
    assert "exercise 01 has nothing to run yet" in run.text
    assert "Try: ./workshop check 01" in run.text
