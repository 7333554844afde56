"""The command line as a whole: help, wrong calls, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.cli import VERBS
from kit.paths import ROOT


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


def test_without_a_verb_it_says_where_you_are_and_what_to_do_next() -> None:
    done = workshop()
    assert (done.returncode, done.stderr) == (0, "")
    assert "./workshop demo" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["fly"], "fly"), (["run", "--port", "seventy"], "--port"), (["run", "1", "two"], "two")],
)
def test_a_wrong_call_exits_with_2_and_no_traceback(arguments: list[str], named: str) -> None:
    done = workshop(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert named in done.stderr


def test_an_unknown_exercise_lists_those_there_are() -> None:
    done = workshop("run", "no-such-exercise")
    assert done.returncode == 2
    assert "there is no exercise 'no-such-exercise'" in done.stderr
    for solution in (ROOT / "solutions").glob("[0-9][0-9]-*"):
        assert solution.name in done.stderr


@pytest.mark.parametrize("name", ["13", "ship-it", "13-ship-it"])
def test_an_exercise_that_was_not_opened_yet_says_so(name: str) -> None:
    if (ROOT / "work" / "13-ship-it").exists():
        pytest.skip("this learner has opened exercise 13")
    done = workshop("run", name)
    assert done.returncode == 2
    assert "work/13-ship-it is not there" in done.stderr
    assert f"Try: ./workshop run {name} --solution" in done.stderr


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
