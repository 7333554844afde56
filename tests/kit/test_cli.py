"""The command line as a whole: help, wrong calls, exit codes."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.cli import GROUPS, VERBS
from kit.course import catalogue
from kit.errors import KitError, disk_error
from kit.workspace import ROOT
from tests.support.learner import Learner

pytestmark = pytest.mark.slow

PRODUCT = catalogue.product().solution


def workshop(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "kit", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    done = workshop(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Example: ./workshop {verb}" in done.stdout


def test_the_help_lists_every_verb_with_a_sentence() -> None:
    lines = workshop("--help").stdout.splitlines()
    for verb in VERBS:
        assert any(f" {verb} " in line and len(line.split()) > 4 for line in lines), verb


def test_the_help_has_the_verbs_in_groups() -> None:
    help_ = workshop("--help").stdout
    places = [help_.index(f"─ {group} ─") for group in GROUPS]
    assert places == sorted(places)
    for (group, verbs), begin, end in zip(GROUPS.items(), places, [*places[1:], None], strict=True):
        box = [line[2:] for line in help_[begin:end].splitlines() if line.startswith("│ ")]
        listed = {line.split()[0] for line in box if not line.startswith(" ")}
        assert listed == set(verbs), group


def test_without_a_verb_it_says_where_you_are_and_what_to_do_next(learner: Learner) -> None:
    done = learner.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Next: 01 Hello, 5 min. `./workshop check 01`" in done.stdout


@pytest.mark.parametrize(
    ("word", "meant"), [("chek", "check"), ("catchup", "catch-up"), ("7.2", "check 7"), ("?", "")]
)
def test_a_verb_that_is_not_there_is_told_from_those_that_are(word: str, meant: str) -> None:
    done = workshop(word)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no verb {word!r}\n" in done.stderr
    assert f"Try: ./workshop {meant or '--help'}\n" in done.stderr


BROKEN = """
import sys, types

from kit import cli

module = types.ModuleType("broken")
exec("def broken() -> None:\\n    1 / 0", module.__dict__)
sys.modules["broken"] = module
cli.VERBS["broken"] = "broken:broken"
sys.argv = ["workshop", "broken"]
cli.main()
"""


def test_a_fault_of_the_workshop_does_not_look_like_wrong_work() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2  # 1 would mean that a learner's work is wrong
    assert "ZeroDivisionError" in done.stderr
    assert "this is a fault of the workshop, not yours" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["fly"], "fly"), (["run", "--port", "seventy"], "--port"), (["run", "1", "two"], "two")],
)
def test_a_wrong_call_exits_with_2_and_no_traceback(arguments: list[str], named: str) -> None:
    done = workshop(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert named in done.stderr


@pytest.mark.parametrize("verb", ["run", "check", "hint", "reset", "solution"])
def test_an_unknown_exercise_is_told_with_those_there_are(verb: str) -> None:
    done = workshop(verb, "no-such-exercise")
    assert done.returncode == 2
    last = len(list((ROOT / "exercises").glob("[0-9][0-9]-*")))
    assert f"there is no exercise 'no-such-exercise'; there is 01 to {last:02}" in done.stderr


def test_a_folder_with_nothing_to_run_is_named(tmp_path: Path) -> None:
    done = workshop("run", "--path", str(tmp_path))
    assert done.returncode == 2
    assert f"{tmp_path} has no nb_runner/main.py" in done.stderr


def test_a_notebook_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "nb_runner").mkdir()
    (tmp_path / "nb_runner" / "main.py").touch()
    call = ["run", "--path", str(tmp_path), "--port", "0", "--notebook", "no.ipynb"]
    done = workshop(*call, WORKSHOP_STATE=str(tmp_path / "state"))
    assert done.returncode == 2
    assert "there is no notebook no.ipynb" in done.stderr


def test_setup_says_what_is_there() -> None:
    done = workshop("setup")
    assert done.returncode == 0, done.stderr
    for word in ("Python", "fastapi", "celery", "Redis", "./workshop demo"):
        assert word in done.stdout


@pytest.mark.parametrize("ignored", [[], ["nohup"]])
def test_output_that_nobody_reads_any_more_is_no_traceback(ignored: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*ignored, sys.executable, "-m", "kit", "setup"],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writer)
    assert "Traceback" not in done.stderr


def test_a_state_that_cannot_be_written_is_no_fault_of_the_workshop(tmp_path: Path) -> None:
    for words in (["run", "--path", str(PRODUCT), "--port", "0"], ["status"]):
        done = workshop(*words, WORKSHOP_STATE="/sys/workshop")
        assert "Traceback" not in done.stderr, done.stderr
        if words[0] == "run":
            assert done.returncode == 2
            assert "/sys" in done.stderr and "Try: " in done.stderr


def test_what_helps_depends_on_why_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()

    def told(number: int, file: Path = tmp_path / "logs" / "a") -> KitError:
        return disk_error("it failed", OSError(number, os.strerror(number), str(file)), tmp_path)

    full = told(errno.ENOSPC)
    assert f"the disk of {tmp_path}/logs is full" in full.message and "df -h" in full.fix
    assert "can only be read" in told(errno.EROFS).message
    assert told(errno.EACCES).fix == f"chmod -R u+rwX {tmp_path}/logs"
    assert told(errno.EACCES, Path("/etc/hosts")).fix == "ls -ld /etc/hosts"
    assert "full" not in told(errno.EPERM, Path("/sys/workshop")).message
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert told(errno.EPERM).fix == f'sudo chown -R "$(id -un)" {tmp_path}'
