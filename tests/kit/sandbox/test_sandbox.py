"""The kit tries whether a sandbox works here, and the reports say what protects submissions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.sandbox import bubblewrap
from kit.sandbox.bubblewrap import (
    ScratchLayout,
    clean_env,
    inner_sandbox,
    outer_sandbox,
    protection,
)
from kit.sandbox.limits import Limits
from kit.workspace import ROOT
from tests.support.requirements import needs_sandbox

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
CONFINED = needs_sandbox()


@pytest.fixture
def bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one folder, in which the test may make a `bwrap`."""
    bubblewrap._protection.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "bwrap"


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Empty the cache of `protection` after each test."""
    yield
    bubblewrap._protection.cache_clear()


@LINUX
def test_without_bubblewrap_the_sentence_names_the_command_that_fixes_it(bwrap: Path) -> None:
    told = protection()
    assert not told.full
    assert "bubblewrap is not installed" in told.sentence
    assert told.sentence.endswith("sudo apt install bubblewrap")
    assert "read what you can read" in told.sentence


@LINUX
def test_a_bubblewrap_without_permission_does_not_confine(bwrap: Path) -> None:
    words = "bwrap: No permissions to create a new namespace"
    bwrap.write_text(f"#!/bin/sh\necho {words} >&2\nexit 1\n")
    bwrap.chmod(0o755)
    told = protection()
    assert not told.full
    assert f"({words})" in told.sentence


def test_the_variable_turns_the_sandbox_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_SANDBOX", "none")
    told = protection()
    assert not told.full
    assert told.sentence.endswith("unset WORKSHOP_SANDBOX")


@CONFINED
def test_with_bubblewrap_the_sentence_says_so() -> None:
    assert "under bubblewrap" in protection().sentence


@CONFINED
def test_the_inner_sandbox_shows_only_what_programs_need(tmp_path: Path) -> None:
    source = "import json, os; print(json.dumps([os.listdir(p) for p in ('/', {root!r}, '/etc')]))"
    top, root, etc = map(set, json.loads(inside(tmp_path, source)))
    assert {"etc", "proc", "usr"} <= top
    assert not {"home", "mnt", "opt", "run", "srv", "sys", "var"} & top - parents(ROOT, tmp_path)
    assert {"kit", "notebooks"} <= root <= {"kit", "notebooks", Path(sys.prefix).name}
    assert not {"shadow", "ssh", "sudoers"} & etc


@pytest.mark.thorough
@CONFINED
def test_the_outer_sandbox_has_no_solutions_no_homes_and_one_learners_work(
    tmp_path: Path,
) -> None:
    (tmp_path / "another").mkdir()
    seen = "[f for f in map(str, pathlib.Path('/').rglob('*')) if not f.startswith(('/proc/', "
    seen += "'/usr/', '/sys/'))]"
    told = in_outer(tmp_path, f"import json, pathlib; print(json.dumps({seen}))")
    files = [Path(file) for file in json.loads(told)]
    assert ROOT / "tests" / "graders" / "test_01_poetry.py" in files
    assert not [f for f in files if f.is_relative_to(ROOT / "solutions")]
    assert {f.name for f in files if f.is_relative_to(ROOT / "exercises") and f.suffix} == {
        "exercise.toml"
    }
    assert tmp_path / "another" not in files
    assert [f for f in files if f.name in (".ssh", ".gitconfig", ".bashrc", "shadow")] == []


@CONFINED
def test_the_sandbox_has_a_small_disk_of_its_own(tmp_path: Path) -> None:
    source = "open({run!r} + '/tmp/large', 'wb').write(b'x' * (8 << 20))"
    with pytest.raises(AssertionError, match="No space left on device"):
        inside(tmp_path, source, Limits(disk=4 << 20))


@CONFINED
def test_the_inner_sandbox_has_no_capabilities_and_gets_none(tmp_path: Path) -> None:
    told = inside(tmp_path, "print(open('/proc/self/status').read())")
    assert "CapEff:\t0000000000000000" in told
    assert "CapBnd:\t0000000000000000" in told
    assert "Uid:\t1000" in told
    with pytest.raises(AssertionError, match="unshare"):
        inside(
            tmp_path / "again",
            "import subprocess; subprocess.run(['unshare', '-U', 'true'], check=True)",
        )


def in_outer(folder: Path, source: str) -> str:
    """What Python prints in the outer sandbox."""
    layout = ScratchLayout(folder.resolve() / "scratch" / "run")
    return _said(layout, [*outer_sandbox(layout, Limits()), sys.executable, "-c", source])


def inside(folder: Path, source: str, limits: Limits | None = None) -> str:
    """What Python prints in both sandboxes."""
    layout = ScratchLayout(folder.resolve() / "scratch" / "run")
    make_folders = [
        "sh",
        "-c",
        bubblewrap.MAKE_FOLDERS_AND_EXEC,
        "sh",
        *map(str, layout.folders),
        "--",
    ]
    line = source.replace("{root!r}", repr(str(ROOT))).replace("{run!r}", repr(str(layout.run)))
    argv = [
        *outer_sandbox(layout, limits or Limits()),
        *make_folders,
        *inner_sandbox(layout),
        sys.executable,
        "-c",
        line,
    ]
    return _said(layout, argv)


def _said(layout: ScratchLayout, argv: list[str]) -> str:
    layout.run.mkdir(parents=True)
    ended = subprocess.run(
        argv,
        env=clean_env(layout),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def parents(*paths: Path) -> set[str]:
    """The top folders of these paths and of Python: the sandbox has to make them."""
    return {path.resolve().parts[1] for path in (*paths, Path(sys.prefix), Path(sys.base_prefix))}
