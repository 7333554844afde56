"""The handbook and the slides, built once for all tests that look at them."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from kit.paths import ROOT


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make site` builds: both builds are strict."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _make(tmp_path_factory.mktemp("built") / "site")
    # Of several workers the first that comes builds, and the others wait.
    together = tmp_path_factory.getbasetemp().parent
    with (together / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        site = together / "site"
        return site if site.exists() else _make(site)


def _make(site: Path) -> Path:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    unfinished = site.with_name("site.new")
    done = subprocess.run(
        ["make", "site", f"SITE={unfinished}"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return unfinished.rename(site)
