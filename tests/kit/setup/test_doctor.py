"""`./workshop doctor`, on this machine and on machines made a little worse."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.processes.ports import free_socket
from kit.setup.doctor import CHECKS
from kit.workspace import ROOT
from tests.support.processes import Mark
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow


def doctor(tmp_path: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    clean = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "VIRTUAL_ENV")}
    state = {"WORKSHOP_STATE": str(tmp_path), "PYTHONUTF8": "1", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "kit", "doctor", *arguments],
        cwd=env.get("PWD", ROOT),
        env={**clean, **state, **env},
        capture_output=True,
        text=True,
        timeout=200,
    )


def findings(done: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in json.loads(done.stdout)}


def test_everything_is_looked_at_and_nothing_is_left(tmp_path: Path) -> None:
    mark = Mark()
    done = doctor(tmp_path, "--json", **mark.env)
    found = findings(done)
    assert list(found) == list(CHECKS)
    assert {finding["state"] for finding in found.values()} <= {"ok", "warning"}, found
    assert done.returncode == 0
    assert all(set(finding) == {"check", "state", "message", "fix"} for finding in found.values())
    assert all(finding["fix"] for finding in found.values() if finding["state"] != "ok")
    assert "a task went to redis://127.0.0.1:" in found["redis"]["message"]
    assert mark.commands() == []


def test_it_needs_no_folder_that_can_be_written_and_no_short_one(tmp_path: Path) -> None:
    """What a kernel needs is not in the current folder, nor in a TMPDIR that is too long for it."""
    far = tmp_path / ("deep" * 20)
    far.mkdir()
    env = {"TMPDIR": str(far), "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
    with ThreadPoolExecutor() as pool:  # two at once in one folder
        twice = [pool.submit(doctor, tmp_path, "--json", PWD=str(far), **env) for _ in range(2)]
    for found in (findings(each.result()) for each in twice):
        assert {found[name]["state"] for name in ("kernel", "redis")} == {"ok"}, found
    assert list(far.iterdir()) == []


def test_at_a_terminal_it_says_what_that_speaks(tmp_path: Path) -> None:
    env = {**os.environ, "WORKSHOP_STATE": str(tmp_path), "PYTHONUTF8": "1"}
    with Terminal("doctor", cwd=ROOT, env=env) as screen:
        screen.wait_for("the terminal speaks UTF-8")


def test_what_is_worse_here_is_said_with_the_command_that_fixes_it(tmp_path: Path) -> None:
    worse = {"VIRTUAL_ENV": "/some/env", "WORKSHOP_REDIS": "fakeredis", "PATH": "/nowhere"}
    done = doctor(tmp_path, "--json", **worse, PYTHONIOENCODING="latin-1")
    found = findings(done)
    assert found["virtual-env"]["state"] == "warning"
    assert "/some/env is activated" in found["virtual-env"]["message"]
    assert found["virtual-env"]["fix"] == "deactivate"
    assert found["redis"]["state"] == "warning"
    assert "exercises 02 to 10 only" in found["redis"]["message"]
    assert found["encoding"]["state"] == "warning"
    assert "iso8859-1" in found["encoding"]["message"]
    assert done.returncode == 0, "warnings are no failure"


def test_a_failure_exits_with_2_and_reads_well(tmp_path: Path) -> None:
    with free_socket() as sock:
        port = sock.getsockname()[1]
    done = doctor(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}/0")
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    words = " ".join(done.stdout.split())
    assert "failure redis" in words
    assert f"redis://127.0.0.1:{port}/0, and no Redis answers there" in words
    assert "unset REDIS_URL" in words
    assert "1 to fix first" in words


def test_the_port_of_run_is_a_warning_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from kit.setup import doctor

    with free_socket() as sock:
        monkeypatch.setattr(doctor, "PORT", sock.getsockname()[1])
        taken = doctor.port()
    assert taken.state == "warning" and "is in use" in taken.message and "--port" in taken.fix
    assert doctor.port().state == "ok"


def test_a_disk_without_room_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from kit.setup import doctor

    assert doctor.disk().state == "ok"
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 10**18)
    assert doctor.disk().state == "failure" and doctor.disk().fix
