"""Bare `./workshop`: what a newcomer sees, and how far it takes them."""

import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from kit.commands.learner.watch import Watch
from kit.course import catalogue
from kit.terminal.keys import Keys
from tests.support.learner import Learner
from tests.support.processes import eventually
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

HELLO, PARROT = "01-hello", "02-parrot"


def test_a_newcomer_gets_to_the_first_pass_with_what_the_screen_says(learner: Learner) -> None:
    with Terminal(cwd=learner.home, env=learner.env) as screen:
        text = screen.wait_for("Look at")
        assert text.startswith("The notebook runner workshop. ")
        assert "in 2 exercises" in text
        assert f"read  work/{HELLO}/README.md" in text
        assert (learner.home / "work" / HELLO / "README.md").is_file()
        assert f"edit  work/{HELLO}/nb_runner/main.py" in text
        assert "Every save is checked. Keys: h hint" in text
        learner.solve(HELLO)
        screen.wait_for("n opens 02")
        screen.press("n")
        screen.wait_for(f"edit  work/{PARROT}/nb_runner/main.py")
        screen.press("q")
        assert screen.wait() == 0
        assert screen.modes() == screen.before


def test_who_comes_back_goes_on_where_they_were(learner: Learner) -> None:
    learner.run("reset", HELLO)
    learner.solve(HELLO)
    learner.run("check")
    with Terminal(cwd=learner.home, env=learner.env) as screen:
        text = screen.wait_for("Look at")
        assert text.startswith("Welcome back. Passed: 1 of 2 exercises.")
        assert f"edit  work/{PARROT}/nb_runner/main.py" in text
        screen.press("q")
        assert screen.wait() == 0


def test_without_a_terminal_it_says_where_you_are_and_ends(learner: Learner) -> None:
    done = learner.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "The notebook runner workshop" in done.stdout
    assert "0 of 2 exercises passed" in done.stdout
    assert "./workshop check 01" in done.stdout
    learner.run("check")
    again = learner.run()
    assert "The notebook runner workshop" not in again.stdout
    assert f"work/{HELLO}" in again.stdout
    assert "\x1b" not in again.stdout


def test_the_chapter_is_named_where_the_handbook_is_served(
    learner: Learner,
    set_workspace: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_workspace(course=learner.home, state=learner.state)
    monkeypatch.setattr("sys.stdin", None)  # no keys
    chapter = learner.home / "docs" / "exercises" / f"{HELLO}.md"
    exercises = catalogue.load()
    Watch(exercises, exercises[0], Keys(), "http://127.0.0.1:1/").introduce()
    assert f"work/{HELLO}/README.md\n" in capsys.readouterr().out
    chapter.parent.mkdir(parents=True)
    chapter.touch()
    Watch(exercises, exercises[0], Keys(), "http://127.0.0.1:1/").introduce()
    assert f"README.md and http://127.0.0.1:1/exercises/{HELLO}/\n" in capsys.readouterr().out


MEANWHILE = (
    "import sys\nfrom kit.course import catalogue\nfrom kit.live.app import learner_app\n"
    "from kit.site.server import serving_both\n"
    "with serving_both(learner_app(catalogue.load())) as address:\n"
    "    print(address); sys.stdin.readline()"
)


def test_handbook_and_slides_are_served_meanwhile_and_no_longer(learner: Learner) -> None:
    env = {name: value for name, value in learner.env.items() if name != "WORKSHOP_COURSE"}
    with subprocess.Popen(
        [sys.executable, "-u", "-c", MEANWHILE],
        env=env,  # without a course of its own: they tell of the real one
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as home:
        assert home.stdin and home.stdout
        address = home.stdout.readline().strip()

        def says(url: str, words: str) -> bool:
            return words in httpx.get(url, trust_env=False).text

        eventually(lambda: says(address, "never run twice"), "the handbook", 180)
        eventually(lambda: says(f"{address}slides/celery.html", "reveal"), "the slides", 180)
        home.communicate("\n")
    eventually(lambda: not learner.mark.processes(), "everything to end")
