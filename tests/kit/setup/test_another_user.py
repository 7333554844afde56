"""A user who is not root. (When the tests are not run by root, each of them tries that.)"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.workspace import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.thorough,
    pytest.mark.skipif(
        os.geteuid() != 0 or sys.platform != "linux", reason="only root can become another user"
    ),
]

NOBODY = 65534
# A package index may be trusted on this machine only.
TRUSTED = {name: path for name, path in os.environ.items() if name == "SSL_CERT_FILE"}
PATH = "/usr/local/bin:/usr/bin:/bin"  # root may have a Python that nobody else can read


@pytest.fixture
def clone() -> Iterator[Path]:
    """A clone that belongs to another user, where that user can go."""
    home = Path(tempfile.mkdtemp(prefix="another-user-", dir="/tmp"))
    try:
        clone = home / "kit"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", home], check=True)
        yield clone
    finally:
        shutil.rmtree(home)


def test_another_user_than_root_sets_up_and_checks(clone: Path) -> None:
    def workshop(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["./workshop", *words],
            cwd=clone,
            env={"HOME": str(clone.parent), "PATH": PATH, "LANG": "C.UTF-8"} | TRUSTED,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=240,
        )

    first = workshop("check", "02")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "✗ 02" in first.stdout
    passed = workshop("check", "02", "05", "--in", "solutions")
    assert passed.returncode == 0, passed.stdout + passed.stderr
