"""The kit's files on a machine where git has been told to change line ends."""

import shutil
import subprocess
from pathlib import Path

from kit.workspace import ROOT


def git(*words: str | Path, cwd: Path) -> None:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@localhost")
    subprocess.run(["git", *identity, *words], cwd=cwd, check=True, capture_output=True)


def test_a_clone_has_no_carriage_returns(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    for name in (".gitattributes", "workshop"):
        shutil.copy(ROOT / name, origin)
    git("init", "-q", cwd=origin)
    git("add", ".", cwd=origin)
    git("commit", "-q", "-m", "the entrance", cwd=origin)
    git("-c", "core.autocrlf=true", "clone", "-q", origin, "clone", cwd=tmp_path)
    assert (tmp_path / "clone" / "workshop").read_bytes() == (ROOT / "workshop").read_bytes()
