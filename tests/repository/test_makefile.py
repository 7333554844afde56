"""The Makefile and what calls it: CI and, by hand, the maintainers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.cli import VERBS
from kit.workspace import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
CI_RUN = ROOT / ".ci" / "run"


def make(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Call make as from a fresh terminal: not as a child of the make that runs the tests."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFL"))
    }
    return subprocess.run(
        ["make", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_bare_make_prints_help_and_does_nothing_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = make(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    helped = set(re.findall(r"^  ([a-z-]+)  ", done.stdout, re.MULTILINE))
    assert helped == targets() - {"venv"}
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_every_target_is_declared_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == targets()


@pytest.mark.parametrize("target", ["test", "check", "bench", "lint", "format", "lock"])
def test_a_target_that_needs_the_environment_sets_it_up_first(target: str) -> None:
    planned = make("-n", target).stdout.splitlines()
    assert planned[0].startswith("./workshop ")
    assert any(".venv/bin/" in line for line in planned[1:])


def test_every_project_is_type_checked_by_itself() -> None:
    planned = make("-n", "lint").stdout
    packages = [*ROOT.glob("solutions/*/nb_runner"), *ROOT.glob("exercises/*/nb_runner")]
    assert packages
    for package in packages:
        assert str(package.relative_to(ROOT)) in planned


def test_projects_of_one_name_are_not_taken_for_one_another(tmp_path: Path) -> None:
    for name, text in (
        ("good", "a: int = 1\n"),
        ("bad", "a: int = ''\n"),
        ("fine", "a: int = 2\n"),
    ):
        (tmp_path / name / "nb_runner").mkdir(parents=True)
        (tmp_path / name / "nb_runner" / "main.py").write_text(text)
    packages = [str(tmp_path / name / "nb_runner") for name in ("good", "bad", "fine")]
    argv = [sys.executable, "-m", "tools.typecheck", "--", *packages, *packages]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1, done.stderr
    assert "mypy: 6 projects, 2 with errors" in done.stdout
    assert done.stdout.count(f"{tmp_path}/bad/nb_runner/main.py:1: error: ") == 2


def test_check_leaves_out_what_is_slow_and_test_does_not() -> None:
    assert '-m "not slow and not task"' in make("-n", "check").stdout
    assert "not slow" not in make("-n", "test").stdout
    end_to_end = [*ROOT.glob("tests/e2e/test_*.py")]
    assert end_to_end
    for file in end_to_end:
        assert "pytest.mark.slow" in file.read_text(encoding="utf-8"), file


def test_lock_keeps_versions_unless_told_to_upgrade() -> None:
    assert "--upgrade" not in make("-n", "lock").stdout
    assert "--upgrade" in make("-n", "lock", "UPGRADE=1").stdout


def test_clean_removes_what_can_be_made_again_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    stay = [".venv/lib/__pycache__/a.pyc", "work/02-hello/__pycache__/a.pyc", "kit/a.py"]
    go = [".workshop/flights.db", ".mypy_cache/x", "kit/__pycache__/a.pyc", ".pytest_cache/x"]
    for name in stay + go:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert make("clean", cwd=tmp_path).returncode == 0
    assert [name for name in stay + go if (tmp_path / name).exists()] == stay
    assert make("distclean", cwd=tmp_path).returncode == 0
    assert not (tmp_path / ".venv").exists()
    assert (tmp_path / "work/02-hello/__pycache__/a.pyc").exists()


def steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_workflow_calls_what_is_there() -> None:
    lines = [line.strip() for step in steps() for line in step.get("run", "").splitlines()]
    commands = [line for line in lines if not line.startswith("#")]
    for command in commands:
        program, *words = command.split()
        if program == "make":
            assert words[0] in targets(), command
        elif program == "./workshop":
            assert words[0] in VERBS, command
        elif program.startswith("."):
            assert os.access(ROOT / program, os.X_OK), command
        else:
            assert program in ("brew", "sudo", "test"), command
    assert {"make test", "make thorough", ".ci/run", "./workshop demo"} <= set(commands)


def test_the_workflow_covers_each_python_and_system_that_we_promise() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


def test_ci_run_is_sound_bash_and_makes_test() -> None:
    script = CI_RUN.read_text(encoding="utf-8")
    assert os.access(CI_RUN, os.X_OK)
    assert "set -euo pipefail" in script
    assert "export CI=true" in script
    calls = [line for line in script.splitlines() if line.startswith("make ")]
    assert calls == ["make venv", "make test", "make thorough"]
    assert subprocess.run(["bash", "-n", CI_RUN], check=False).returncode == 0
