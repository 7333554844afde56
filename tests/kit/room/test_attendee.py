"""An attendee's own commands and a room: what it is told, and how they do without it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.attendee import outbox
from kit.processes.ports import free_port
from tests.kit.conftest import learner
from tests.support.learner import Learner
from tests.support.processes import eventually
from tests.support.rooms import Room, served_room
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

__all__ = ["learner"]

HELLO, PARROT = "01-hello", "02-parrot"


def states(room: Room) -> dict[str, str]:
    """The tasks of the first attendee, of all exercises."""
    (ada,) = room.store.attendees()
    return {number: state for each in ada.standings for number, state in each.tasks.items()}


def checks(room: Room) -> int:
    (ada,) = room.store.attendees()
    return sum(each.checks for each in ada.standings)


def test_checks_tell_the_room_wait_while_it_is_gone_and_leaving_deletes(
    learner: Learner, set_workspace: Callable[..., None], tmp_path: Path
) -> None:
    set_workspace(course=learner.home)
    port = free_port()
    assert learner.run("check", "1").returncode == 1  # in no room
    assert not (learner.state / "attendee").exists()
    with served_room(tmp_path, port) as room:
        words = ("join", f"127.0.0.1:{port}", "--as", "Ada", "--code")
        assert "this is not the code" in learner.run(*words, "12345678").stderr
        done = learner.run(*words, room.store.setting("code"))
        assert done.returncode == 0, done.stderr
        for what in (*outbox.SENT, outbox.NEVER_SENT):
            assert what in " ".join(done.stdout.split())
        eventually(lambda: states(room) == {"1.1": "failed", "1.2": "not_reached"}, "what was")
        assert checks(room) == 0
        learner.solve(HELLO)
        assert learner.run("check", "1").returncode == 0
        eventually(lambda: states(room) == {"1.1": "passed", "1.2": "passed"}, "the verdict")
        assert (checks(room), "in the room" in learner.run(*words, "1").stderr) == (1, True)
    # The room is gone. No check says so, and none is slower for it.
    for _ in range(2):
        done = learner.run("check", "1")
        assert (done.returncode, done.stderr) == (0, "")
    assert "still there" in learner.run("leave").stderr
    box = learner.state / "attendee" / "membership.json"
    box.write_text(json.dumps({**json.loads(box.read_text()), "left": False}))
    with served_room(tmp_path, port) as room:
        assert learner.run("check", "1").returncode == 0
        eventually(lambda: checks(room) == 4, "what has waited")
        assert "has deleted" in learner.run("leave").stdout
        assert room.store.attendees() == []
        assert learner.run("check", "1").returncode == 0
        assert not list((learner.state / "attendee").glob("*.json"))


def test_watch_asks_for_help_shows_the_pace_and_outlives_the_room(
    learner: Learner, set_workspace: Callable[..., None], tmp_path: Path
) -> None:
    set_workspace(course=learner.home)
    with served_room(tmp_path, track="half-day") as room:
        code = room.store.setting("code")
        learner.run("join", room.address, "--as", "Ada", "--code", code)
        with Terminal("watch", cwd=learner.home, env=learner.env) as screen:
            assert "? ask for help" in screen.wait_for("Look at")
            eventually(lambda: states(room).get("1.1") == "failed", "the verdict")
            screen.press("?")
            screen.wait_for("You have asked for help; ? takes it back.")
            (ada,) = room.store.attendees()
            eventually(lambda: room.store.asks_for_help(ada.id), "the cry for help")
            assert room.store.attendees()[0].help == "1.1"
            screen.press("?")
            screen.wait_for("You no longer ask for help.")
            eventually(lambda: not room.store.asks_for_help(ada.id), "its end")
            room.store.remember(now=HELLO)
            screen.wait_for("The room: now 01 Hello.")
            room.store.remember(time_up="yes")
            screen.wait_for("time is up for 01 Hello. c opens 02 Parrot")
            screen.press("c")
            screen.wait_for("02 Parrot, ")
            assert learner.states() == {HELLO: "skipped", PARROT: "started"}
            room.close()
            learner.solve(PARROT)
            screen.wait_for("02 Parrot: passed")
            screen.press("q")
            assert screen.wait() == 0
            assert "Traceback" not in screen.text
