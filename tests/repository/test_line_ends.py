"""What git does with the kit's files: line ends, and what it leaves to the learner."""

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


def test_the_learners_work_is_no_part_of_the_kit_also_where_it_is_a_link(tmp_path: Path) -> None:
    git("init", "-q", cwd=tmp_path)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for name in ("work", ".workshop", ".venv"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "mine.py").touch()
    git("add", ".", cwd=tmp_path)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, capture_output=True, text=True)
    assert listed.stdout.split() == [".gitignore", "mine.py"]
