"""What is remembered, and how: whole files, no lost updates, a pass for what was checked."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.course import catalogue, progress
from kit.course.progress import Pass, Progress, Record
from kit.errors import KitError
from tests.support.learner import MINI_COURSE, Learner

pytestmark = pytest.mark.slow


@pytest.fixture
def file(set_workspace: Callable[..., None], tmp_path: Path) -> Path:
    state = tmp_path / "state"
    set_workspace(state=state)
    return state / "progress.json"


@pytest.fixture
def mini(set_workspace: Callable[..., None]) -> list[catalogue.Exercise]:
    set_workspace(course=MINI_COURSE)
    return catalogue.load()


def test_what_is_written_is_what_is_read(file: Path) -> None:
    assert progress.load() == Progress()
    assert not file.exists()  # looking changes nothing
    with progress.changing() as done:
        done.last = "02-parrot"
        done.exercises["01-hello"] = Record(Pass("a", "b", 1.5), hints={"1.1": 2})
        done.exercises["02-parrot"] = Record(None, True, 3, "2.1")
        written = done
    assert progress.load() == written
    assert [each.name for each in sorted(file.parent.iterdir())] == [
        "progress.json",
        "progress.lock",
    ]


DAMAGED = {
    "empty": "",
    "half": '{"last": "01-he',
    "binary": "\0\1",
    "a list": "[]",
    "another program's": '{"version": 3}',
    "a pass that is none": '{"last": "", "exercises": {"01-hello": {"passed": 1}}}',
    "numbers as words": '{"last": "", "exercises": {"01-hello": {"failures": "two"}}}',
    "hints as a list": '{"last": "", "exercises": {"01-hello": {"hints": [1]}}}',
    "a field of the future": '{"last": "", "exercises": {"01-hello": {"stars": 5}}}',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_set_aside(
    file: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    file.write_text(DAMAGED[damage])
    assert progress.load() == Progress()
    [aside] = file.parent.glob("progress.json.damaged-*")
    assert aside.read_text() == DAMAGED[damage]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and aside.name in said
    assert progress.load() == Progress()
    assert capsys.readouterr().err == ""  # said once


def test_an_error_in_between_changes_nothing(file: Path) -> None:
    with progress.changing() as done:
        done.last = "01-hello"
    with pytest.raises(ZeroDivisionError), progress.changing() as done:
        done.last = f"{1 / 0}"
    assert progress.load().last == "01-hello"


def test_a_folder_that_cannot_be_written_is_named(file: Path) -> None:
    file.parent.write_text("a file where a folder should be")
    with pytest.raises(KitError, match=r"progress\.json cannot be written"), progress.changing():
        pass


def _count(times: int) -> None:
    for _ in range(times):
        with progress.changing() as done:
            record = done.exercises.setdefault("01-hello", Record())
            record.failures += 1


def test_those_who_write_at_once_lose_nothing(file: Path) -> None:
    writers = [
        multiprocessing.get_context("fork").Process(target=_count, args=(50,)) for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        progress.load()  # whole at all times, or it would be set aside
    assert progress.load().exercises["01-hello"].failures == 200
    assert list(file.parent.glob("*damaged*")) == []


def test_where_the_learner_is(mini: list[catalogue.Exercise]) -> None:
    hello, parrot = mini
    done = Progress()
    assert done.current(mini) == hello
    done.last = parrot.slug
    assert done.current(mini) == parrot
    done.of(parrot).skipped = True
    assert done.current(mini) == hello  # nothing waits after it, so what was left out
    done.of(hello).skipped = True
    assert done.current(mini) is None
    assert done.here(mini) == parrot


def test_a_pass_is_for_what_was_checked(learner: Learner) -> None:
    learner.run("reset", "1")
    file = learner.solve("01-hello")
    assert learner.run("check").returncode == 0

    changes = {
        file: "# more\n",
        file.with_name("new.lua"): "-- more\n",
        file.parent.parent / "pyproject.toml": "# more\n",
        file.parent.parent / "poetry.toml": "# more\n",
        learner.home / "tests" / "graders" / "test_01_hello.py": "# more\n",
        learner.home / "tests" / "graders" / "shared.py": "# more\n",
    }
    for changed, more in changes.items():
        assert learner.states()["01-hello"] == "passed"
        before = changed.read_text() if changed.exists() else None
        changed.write_text((before or "") + more)
        assert learner.states()["01-hello"] == "check again", changed
        if before is None:
            changed.unlink()
        else:
            changed.write_text(before)

    for harmless in ("README.md", "notes.txt", "nb_runner/__pycache__/main.cpython-399.pyc"):
        path = file.parent.parent / harmless
        path.parent.mkdir(exist_ok=True)
        path.write_text("more")
    assert learner.states()["01-hello"] == "passed"


def test_a_damaged_file_does_not_stop_a_check(learner: Learner) -> None:
    learner.run("reset", "1")
    learner.solve("01-hello")
    (learner.state / "progress.json").write_text("{")
    done = learner.run("check", "1")
    assert done.returncode == 0
    assert "was damaged, so it is set aside as progress.json.damaged-" in done.stderr
    told = json.loads((learner.state / "progress.json").read_text())
    assert told["exercises"]["01-hello"]["passed"]
