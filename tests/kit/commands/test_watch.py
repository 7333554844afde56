"""`watch` at a terminal and without one: saves, verdicts, keys, and every way to end it."""

import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.support.learner import Learner
from tests.support.processes import eventually, kill_all
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.longest]

HELLO, PARROT = "01-hello", "02-parrot"
ASLEEP = "import time\n\nprint('asleep', flush=True)\ntime.sleep(600)\n"
SLOW = 3.0  # seconds that an answer takes, so that the one before it can be seen
Watch = Callable[..., Terminal]


@pytest.fixture
def watch(learner: Learner) -> Iterator[Watch]:
    """`./workshop watch …` at a terminal. In the end the terminal is as it was."""
    opened: list[Terminal] = []

    def start(*words: str, **env: str) -> Terminal:
        terminal = Terminal("watch", *words, cwd=learner.home, env=learner.env | env)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        with terminal:
            assert "Traceback" not in terminal.text
    eventually(lambda: not learner.mark.processes(), "all to end")


def test_a_save_brings_a_verdict(watch: Watch, learner: Learner) -> None:
    screen = watch()
    text = screen.wait_for("1.1  GET /ping answers pong")
    assert f"read  work/{HELLO}/README.md" in text
    assert f"edit  work/{HELLO}/nb_runner/main.py, line " in text
    keys = "h hint · s solution · n next · b back · l list · r run the check again · q quit"
    assert keys in " ".join(text.split())
    screen.wait_for("Look at")
    learner.solve(HELLO)
    text = screen.wait_for("n opens 02")
    assert "nb_runner/main.py saved" in text
    assert "01 Hello: passed" in text
    assert learner.states()[HELLO] == "passed"
    screen.press("q")
    assert screen.wait() == 0
    assert screen.modes() == screen.before


@pytest.mark.parametrize("verb", ["watch", "check"])
def test_a_task_has_its_tick_while_the_next_one_is_checked(verb: str, learner: Learner) -> None:
    learner.run("reset", HELLO)
    file = learner.solve(HELLO)
    slow = "async def name(request: Request) -> PlainTextResponse:\n"
    waits = f"    await __import__('asyncio').sleep({SLOW})\n"
    file.write_text(file.read_text().replace(slow, slow + waits))
    with Terminal(verb, "1", cwd=learner.home, env=learner.env) as screen:
        screen.wait_for(f"checking work/{HELLO} … ✓ 1.1")
        assert "01 Hello: passed" not in screen.text
        screen.wait_for("01 Hello: passed")


def test_a_save_that_changes_nothing_is_not_checked_again(watch: Watch, learner: Learner) -> None:
    screen = watch()
    screen.wait_for("Look at")
    learner.file(HELLO).write_bytes(learner.file(HELLO).read_bytes())
    screen.wait_for("nb_runner/main.py saved, unchanged")
    assert screen.text.count("of 2 tasks done") == 1


def test_a_save_by_way_of_another_file_is_told_by_the_name_that_stays(
    watch: Watch, learner: Learner
) -> None:
    screen = watch()
    screen.wait_for("Look at")
    ours = learner.home / "solutions" / HELLO / "nb_runner" / "main.py"
    unfinished = learner.file(HELLO).with_name("main.py.new")
    unfinished.write_bytes(ours.read_bytes())
    unfinished.replace(learner.file(HELLO))
    screen.wait_for("01 Hello: passed")
    assert "nb_runner/main.py saved" in screen.text
    assert "main.py.new" not in screen.text


def test_a_save_during_a_check_begins_it_anew(watch: Watch, learner: Learner) -> None:
    learner.run("reset", HELLO)
    learner.file(HELLO).write_text(ASLEEP)
    screen = watch()
    screen.wait_for("checking")
    eventually(lambda: submissions(learner), "the submission to start")
    [asleep] = submissions(learner)
    began = time.monotonic()
    learner.solve(HELLO)
    screen.wait_for("01 Hello: passed")
    assert not asleep.is_running()
    assert time.monotonic() - began < 44  # after which a check gives up waiting


def test_a_reset_in_another_terminal_is_noticed(watch: Watch, learner: Learner) -> None:
    screen = watch()
    screen.wait_for("Look at")
    learner.solve(HELLO)
    screen.wait_for("01 Hello: passed")
    learner.run("reset", HELLO)
    screen.wait_for("Look at", 2)
    learner.solve(HELLO)
    screen.wait_for("01 Hello: passed", 2)


def test_it_can_poll_where_the_system_does_not_tell(watch: Watch, learner: Learner) -> None:
    screen = watch(WATCHFILES_FORCE_POLLING="1")
    screen.wait_for("Look at")
    learner.solve(HELLO)
    screen.wait_for("01 Hello: passed")


def test_keys_for_hints_the_list_and_the_solution(watch: Watch, learner: Learner) -> None:
    screen = watch()
    screen.wait_for("Look at")
    screen.press("h")
    screen.wait_for("hint 1 of 3")
    screen.press("H")
    screen.wait_for("hint 2 of 3")
    # A hint may name a command: that line was once left out as if it were a footer.
    screen.wait_for("PlainTextResponse takes the text: `./workshop run 01` serves it.")
    screen.wait_for("Not enough? h once more, or s for the solution.", 2)
    screen.press("h")
    screen.wait_for("Not enough? That was the last one; s shows the solution.")
    screen.press("l")
    screen.wait_for("0 of 2 exercises passed")
    assert "Next: ./workshop" not in screen.text
    screen.press("s")
    screen.wait_for("y shows the solution all the same")
    screen.press("x")
    screen.wait_for("h hint", 2)
    screen.press("y")
    screen.wait_for("h hint", 3)
    assert "+++" not in screen.text
    screen.press("sy")
    screen.wait_for("+++ solutions/01-hello/nb_runner/main.py")
    screen.press("r")
    screen.wait_for("Look at", 2)


def test_a_command_that_is_typed_there_presses_no_keys(watch: Watch, learner: Learner) -> None:
    screen = watch()
    screen.wait_for("press h")
    screen.press("./workshop solution 01\n")
    screen.wait_for("Here, single keys do it")
    screen.press("q")
    assert screen.wait() == 0
    assert "You have not passed" not in screen.text
    assert "hint 1 of" not in screen.text


def test_next_opens_the_next_when_this_one_is_passed(watch: Watch, learner: Learner) -> None:
    learner.run("reset", HELLO)
    learner.solve(HELLO)
    screen = watch()
    screen.wait_for("n opens 02")
    screen.press("n")
    screen.wait_for(f"read  work/{PARROT}/README.md")
    screen.wait_for("2.1")
    screen.wait_for("Look at")
    learner.solve(PARROT)
    screen.wait_for("That was the last one")
    assert learner.states() == {HELLO: "passed", PARROT: "passed"}
    screen.press("n")
    screen.wait_for("There is no other exercise left")


def test_next_asks_before_it_leaves_something_for_later(watch: Watch, learner: Learner) -> None:
    screen = watch()
    screen.wait_for("Look at")
    screen.press("n")
    screen.wait_for("n again leaves it for later and opens 02")
    screen.press("l")  # that was no answer
    screen.press("n")
    screen.wait_for("n again leaves it for later", 2)
    screen.press("n")
    screen.wait_for(f"read  work/{PARROT}/README.md")
    assert learner.states()[HELLO] == "skipped"
    screen.press("b")
    screen.wait_for(f"read  work/{HELLO}/README.md", 2)
    assert learner.states()[PARROT] == "started"  # and not skipped
    screen.press("b")
    screen.wait_for("There is no exercise before this one")


def test_without_colour_there_are_no_codes(watch: Watch, learner: Learner) -> None:
    screen = watch(NO_COLOR="1")
    screen.wait_for("Look at")
    assert "\x1b" not in screen.raw.decode()


@pytest.mark.parametrize("moment", ["in a check", "after it"])
def test_interrupted_it_leaves_nothing(watch: Watch, learner: Learner, moment: str) -> None:
    learner.run("reset", HELLO)
    if moment == "in a check":
        learner.file(HELLO).write_text(ASLEEP)
    screen = watch()
    if moment == "in a check":
        eventually(lambda: submissions(learner), "the submission to start")
    else:
        screen.wait_for("Look at")
    assert not screen.modes()[3] & termios.ECHO
    screen.press("\x03")
    assert screen.wait() == 130
    assert screen.modes() == screen.before
    assert learner.mark.commands() == []


def test_killed_it_leaves_nothing(watch: Watch, learner: Learner) -> None:
    learner.run("reset", HELLO)
    learner.file(HELLO).write_text(ASLEEP)
    screen = watch()
    eventually(lambda: submissions(learner), "the submission to start")
    screen.process.kill()
    eventually(lambda: not learner.mark.processes(), "all to end")


@pytest.mark.parametrize("server", ["kit.processes.forkserver", "multiprocessing.forkserver"])
def test_it_goes_on_when_its_fork_server_dies(watch: Watch, learner: Learner, server: str) -> None:
    screen = watch()
    screen.wait_for("Look at")
    servers = [
        process
        for process in learner.mark.processes()
        if any(server in word for word in process.cmdline())
    ]
    assert servers
    kill_all(servers)
    learner.solve(HELLO)
    screen.wait_for("01 Hello: passed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_it_checks_and_takes_no_keys(learner: Learner, number: int) -> None:
    said = learner.home / "said"
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "kit", "watch"],
            cwd=learner.home,
            env=learner.env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    eventually(lambda: "Look at" in said.read_text(), "a verdict")
    learner.solve(HELLO)
    eventually(lambda: "01 Hello: passed" in said.read_text(), "a pass")
    assert "quit" not in said.read_text()
    assert "Next: ./workshop watch 02" in said.read_text()
    os.kill(process.pid, number)
    assert process.wait(60) == 130
    assert "\x1b" not in said.read_text()
    assert "Traceback" not in said.read_text()
    eventually(lambda: not learner.mark.processes(), "all to end")


def test_an_exercise_that_is_not_there_is_said(learner: Learner) -> None:
    done = learner.run("watch", "77")
    assert done.returncode == 2
    assert "there is no exercise '77'" in done.stderr


def submissions(learner: Learner) -> list[psutil.Process]:
    """The learner's programs that run, however they were started."""
    folder = learner.home / "work" / HELLO
    found = []
    for process in learner.mark.processes():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found
