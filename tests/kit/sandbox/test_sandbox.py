"""Whether there is a sandbox is found out by trying, and the reports can say what there is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.sandbox import bubblewrap
from kit.sandbox.bubblewrap import Place, clean_env, inner, outer, protection
from kit.sandbox.limits import Limits
from kit.workspace import ROOT
from tests.support.requirements import needs_sandbox

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
FULL = needs_sandbox()


@pytest.fixture
def bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what the test makes of this file."""
    bubblewrap._protection.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "bwrap"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What was found out is for one test."""
    yield
    bubblewrap._protection.cache_clear()


@LINUX
def test_without_bubblewrap_the_sentence_names_the_command_that_mends_it(bwrap: Path) -> None:
    told = protection()
    assert not told.full
    assert "bubblewrap is not installed" in told.sentence
    assert told.sentence.endswith("sudo apt install bubblewrap")
    assert "read what you can read" in told.sentence


@LINUX
def test_a_bubblewrap_that_may_not_is_as_good_as_none(bwrap: Path) -> None:
    words = "bwrap: No permissions to create a new namespace"
    bwrap.write_text(f"#!/bin/sh\necho {words} >&2\nexit 1\n")
    bwrap.chmod(0o755)
    told = protection()
    assert not told.full
    assert f"({words})" in told.sentence


def test_it_can_be_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_SANDBOX", "none")
    told = protection()
    assert not told.full
    assert told.sentence.endswith("unset WORKSHOP_SANDBOX")


@FULL
def test_with_it_the_sentence_says_what_it_does() -> None:
    assert "under bubblewrap" in protection().sentence


@FULL
def test_the_inner_sandbox_shows_what_it_has_to(tmp_path: Path) -> None:
    source = "import json, os; print(json.dumps([os.listdir(p) for p in ('/', {root!r}, '/etc')]))"
    top, root, etc = map(set, json.loads(inside(tmp_path, source)))
    assert {"etc", "proc", "usr"} <= top
    assert not {"home", "mnt", "opt", "run", "srv", "sys", "var"} & top - parents(ROOT, tmp_path)
    assert {"kit", "notebooks"} <= root <= {"kit", "notebooks", Path(sys.prefix).name}
    assert not {"shadow", "ssh", "sudoers"} & etc


@FULL
def test_the_outer_one_has_no_solutions_nobodys_home_and_only_this_learners_work(
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


@FULL
def test_its_disk_is_full_before_ours_is(tmp_path: Path) -> None:
    source = "open({run!r} + '/tmp/large', 'wb').write(b'x' * (8 << 20))"
    with pytest.raises(AssertionError, match="No space left on device"):
        inside(tmp_path, source, Limits(disk=4 << 20))


@FULL
def test_it_has_no_rights_and_gets_none(tmp_path: Path) -> None:
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
    place = Place(folder.resolve() / "scratch" / "run")
    return _said(place, [*outer(place, Limits()), sys.executable, "-c", source])


def inside(folder: Path, source: str, limits: Limits | None = None) -> str:
    """What Python prints in both sandboxes."""
    place = Place(folder.resolve() / "scratch" / "run")
    first = ["sh", "-c", bubblewrap.MAKE_AND_BECOME, "sh", *map(str, place.folders), "--"]
    line = source.replace("{root!r}", repr(str(ROOT))).replace("{run!r}", repr(str(place.run)))
    words = [*outer(place, limits or Limits()), *first, *inner(place), sys.executable, "-c", line]
    return _said(place, words)


def _said(place: Place, words: list[str]) -> str:
    place.run.mkdir(parents=True)
    ended = subprocess.run(
        words,
        env=clean_env(place),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def parents(*paths: Path) -> set[str]:
    """The first folder on the way to each, and to Python: these have to be there."""
    return {path.resolve().parts[1] for path in (*paths, Path(sys.prefix), Path(sys.base_prefix))}
