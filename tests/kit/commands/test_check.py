"""`check`, typed by a learner of a small course: what it says, and how it ends."""

import os
import signal
import time
from pathlib import Path

import pytest

from kit.processes.environment import allowed
from tests.support.learner import Learner
from tests.support.processes import eventually

pytestmark = [pytest.mark.slow, pytest.mark.longest]

HELLO, PARROT = "01-hello", "02-parrot"


def test_the_first_check_opens_the_exercise_and_says_what_is_missing(learner: Learner) -> None:
    done = learner.run("check")
    assert done.returncode == 1, done.stderr
    for words in (
        "Opened work/01-hello: work/01-hello/README.md says what to do",
        "✗ 1.1  GET /ping answers pong",
        "work/01-hello/nb_runner/main.py has no `app`",
        "Look at   work/01-hello/nb_runner/main.py",
        "./workshop hint 01",
    ):
        assert words in done.stdout
    assert "✗ 1.2 " not in done.stdout  # one thing at a time
    assert not (learner.home / "work" / HELLO / "exercise.toml").exists()  # the hints are in it


def test_from_the_first_failure_to_the_next_exercise(learner: Learner) -> None:
    learner.run("check")
    file = learner.solve(HELLO)
    file.write_text(file.read_text().replace('"Ada"', '""'))
    half = learner.run("check")
    assert half.returncode == 1
    assert "✓ 1.1" in half.stdout and "✗ 1.2" in half.stdout
    assert "Seen: it answers" in half.stdout
    assert "We did    curl -i http://127.0.0.1:8000/name" in half.stdout
    assert "Look at   work/01-hello/nb_runner/main.py: name()" in half.stdout
    assert "Stuck? ./workshop hint 01 shows hint 1 of 2 for task 1.2" not in half.stdout
    assert "Stuck? ./workshop hint 01 shows hint 1 of 3 for task 1.2" in half.stdout

    learner.solve(HELLO)
    whole = learner.run("check")
    assert whole.returncode == 0, whole.stdout
    assert "01 Hello: passed" in whole.stdout
    assert "`./workshop check 02` opens work/02-parrot" in whole.stdout
    assert learner.states() == {HELLO: "passed", PARROT: "not started"}


def test_the_name_of_the_folder_does_not_matter(tmp_path: Path) -> None:
    learner = Learner(tmp_path / "[a] $HOME x#y x:y a?b a%20b;&='zoë")
    learner.run("reset", HELLO)
    learner.solve(HELLO)
    done = learner.run("check")
    assert done.returncode == 0, done.stderr + done.stdout


def test_odd_surroundings_do_not_matter(learner: Learner, tmp_path: Path) -> None:
    """The work is behind a link, nobody has a home, proxies are nonsense, and files are private."""
    (tmp_path / "elsewhere").mkdir()
    (learner.home / "work").symlink_to(tmp_path / "elsewhere")
    odd = {"TMPDIR": str(tmp_path / "gone"), "http_proxy": "nonsense://", "ALL_PROXY": "socks9://x"}
    del learner.env["HOME"]
    before = os.umask(0o077)
    try:
        learner.run("reset", HELLO, **odd)
        learner.solve(HELLO)
        done = learner.run("check", **odd)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (tmp_path / "elsewhere" / HELLO).is_dir()


def test_what_is_set_for_other_programs_does_not_decide(learner: Learner) -> None:
    learner.run("reset", HELLO)
    learner.solve(HELLO)
    env = {
        **{"PYTHONWARNINGS": "error", "LC_ALL": "C", "PYTEST_ADDOPTS": "--nonsense"},
        **{"PYTEST_PLUGINS": "nowhere", "UVICORN_PORT": "1", "UVICORN_ROOT_PATH": "/x"},
        **{"UVICORN_LOG_LEVEL": "critical", "WEB_CONCURRENCY": "3", "PYTHONPATH": "/nowhere"},
    }
    done = learner.run("check", **env)
    assert done.returncode == 0, done.stderr + done.stdout
    refused = {"CELERY_BROKER_URL", "REDIS_URL", "RUNNER_API_KEY", *env} - {"LC_ALL"}
    assert not refused & allowed(dict.fromkeys(refused, "x")).keys()


def test_after_the_last_one_there_is_nothing_left(learner: Learner) -> None:
    for slug in (HELLO, PARROT):
        learner.run("reset", slug)
        learner.solve(slug)
    done = learner.run("check", "all")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 passed" in done.stdout
    again = learner.run("check")
    assert again.returncode == 0
    assert "You have passed everything there is" in again.stdout


def test_json_tells_of_all_tasks(learner: Learner) -> None:
    learner.run("reset", "1")
    file = learner.solve(HELLO)
    file.write_text(file.read_text().replace('"pong"', '"ping"'))
    done = learner.run("check", "1", "--json")
    assert done.returncode == 1
    [told] = learner.run_json("check", "1", "--json")
    assert set(told) == {"exercise", "passed", "seconds", "tasks"}
    assert (told["exercise"], told["passed"]) == (HELLO, False)
    first, second = told["tasks"]
    assert set(second) == {"number", "title", "passed", "state"}
    assert (first["number"], first["passed"], second["passed"]) == ("1.1", False, True)
    assert (first["state"], second["state"]) == ("failed", "passed")
    assert first["failure"]["code"] == "wrong" and "200 OK: ping" in first["failure"]["got"]


def test_a_fault_of_the_grader_is_not_the_learners(learner: Learner) -> None:
    learner.run("reset", "1")
    file = learner.solve(HELLO)
    file.write_text(file.read_text().replace('"Ada"', '"nobody"'))
    done = learner.run("check")
    assert done.returncode == 2
    assert "01-hello could not be checked: the grader itself broke" in done.stderr
    assert "not about your work" in done.stderr


def test_a_grader_that_is_missing_is_named(learner: Learner) -> None:
    (learner.home / "tests" / "graders" / "test_01_hello.py").unlink()
    done = learner.run("check", "1")
    assert done.returncode == 2
    assert "its grader is missing: tests/graders/test_01_hello.py" in done.stderr


def test_a_folder_of_projects(learner: Learner) -> None:
    good = learner.run("check", "all", "--in", "solutions")
    assert (good.returncode, good.stderr) == (0, "")
    bad = learner.run("check", "--in", "exercises", "--jobs", "1")
    assert bad.returncode == 1
    assert "0 of 2 passed" in bad.stdout
    one = learner.run("check", "2", "--in", "solutions")
    assert one.returncode == 0
    # Only the learner's own progress is kept.
    assert learner.states() == {HELLO: "not started", PARROT: "not started"}
    assert not (learner.home / "work").exists()


def test_a_single_project(learner: Learner) -> None:
    assert learner.run("check", "--path", "solutions/02-parrot").returncode == 0
    (learner.home / "solutions" / PARROT).rename(learner.home / "mine")
    assert learner.run("check", "parrot", "--path", "mine").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "9"], "there is no exercise '9'; there is 01 to 02"),
        (["check", "all"], "there is nothing to check in work"),
        (["check", "--in", "nowhere"], "there is nothing to check in nowhere"),
        (["check", "1", "--in", "work"], "work/01-hello is not there"),
        (["check", "--path", "nowhere"], "there is no folder nowhere"),
        (["check", "--path", "tests"], "tests does not say which exercise it is"),
        (["check", "1", "2", "--path", "tests"], "--path is for one project"),
    ],
)
def test_a_wrong_call_says_so_and_what_to_type(
    learner: Learner, words: list[str], said: str
) -> None:
    done = learner.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Try: " in done.stderr


LOOP = "import time\nwhile True:\n    time.sleep(1)\n"
FLOOD = "while True:\n    print('x' * 10_000)\n"
NO_ANSWER = """
import time
from fastapi import FastAPI
app = FastAPI()

@app.get("/ping")
async def ping() -> str:
    while True:
        time.sleep(1)
"""
FORK = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
raise RuntimeError("forked")
"""
SERVER = "import uvicorn\n\nasync def app(s, r, t): ...\n\nuvicorn.run(app, port=0)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LOOP

ODD = {
    "hangs": (LOOP, "it was not up after 8 s"),
    "does not want to end": (STUBBORN, "it was not up after 8 s"),
    "never answers": (NO_ANSWER, "it has started, and GET /ping gets no answer within 8 s"),
    "prints without end": (FLOOD, "and prints without end"),
    "leaves a daemon": (FORK, "nb_runner/main.py, line 8: RuntimeError: forked"),
    "serves by itself": (SERVER, "importing it starts a server of its own, at http://127.0.0.1"),
    "is half a line": ("def app(", "SyntaxError: '(' was never closed"),
    "leaves": ("raise SystemExit(0)", "it does not start yet"),
    "kills": ("import os\nos.kill(os.getppid(), 9)\n" + LOOP, "it "),
    "imports what is not there": ("import flask\n", "No module named 'flask'"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_project_that(learner: Learner, odd: str) -> None:
    code, said = ODD[odd]
    learner.run("reset", "1")
    learner.file(HELLO).write_text(code)
    done = learner.run("check", WORKSHOP_CHECK_START="8")
    assert done.returncode == 1, done.stderr
    assert "✗ 1.1" in done.stdout
    [got] = [line for line in done.stdout.splitlines() if "Got  " in line]
    assert said in got
    assert len(got) < 300
    assert learner.mark.commands() == []


def test_the_file_to_look_at_is_the_one_that_is_at_fault(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.file(HELLO).write_text("from . import helper\n")
    learner.file(HELLO).with_name("helper.py").write_text("import flask\n")
    done = learner.run("check")
    assert "01-hello/nb_runner/helper.py, line 1: ModuleNotFoundError" in done.stdout
    assert "Look at   work/01-hello/nb_runner/helper.py" in done.stdout


def test_a_project_in_another_encoding(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.file(HELLO).write_bytes('name = "Zoé"\n'.encode("latin-1"))
    done = learner.run("check")
    assert done.returncode == 1
    assert "01-hello/nb_runner/main.py" in done.stdout
    assert "SyntaxError" in done.stdout and "utf-8" in done.stdout.lower()


def test_a_project_whose_file_is_gone(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.file(HELLO).unlink()
    done = learner.run("check")
    assert done.returncode == 1
    assert "there is no such file" in done.stdout
    assert "Look at   work/01-hello/nb_runner/main.py" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_check_that_is_interrupted_leaves_nothing_behind(
    learner: Learner, number: signal.Signals
) -> None:
    learner.run("reset", "1")
    started = learner.home / "started"
    learner.file(HELLO).write_text(f"open({str(started)!r}, 'w')\n" + LOOP)
    # Left alone, it would wait for longer than we do.
    with learner.start("check", WORKSHOP_CHECK_START="150") as process:
        eventually(started.exists, "the project to be started")
        began = time.monotonic()
        os.kill(process.pid, number)
        process.communicate(timeout=60)
    assert time.monotonic() - began < 15
    assert process.returncode == (130 if number == signal.SIGTERM else -number)
    eventually(lambda: learner.mark.commands() == [], "everything to end")


def test_what_is_saved_during_a_check_is_not_what_passed(learner: Learner) -> None:
    learner.run("reset", "1")
    file = learner.solve(HELLO)
    started = learner.home / "started"
    slow = f"import time\nopen({str(started)!r}, 'w')\ntime.sleep(1)\n"
    file.write_text(slow + file.read_text())
    with learner.start("check") as process:
        eventually(started.exists, "the project to be started")
        file.write_text(file.read_text() + "\n# more\n")
        process.communicate(timeout=100)
    assert process.returncode == 0
    assert learner.states()[HELLO] == "check again"


def test_the_folder_a_learner_stands_in_shortens_the_paths(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.home = learner.home / "work" / HELLO
    done = learner.run("check")
    assert "Look at   nb_runner/main.py" in done.stdout
