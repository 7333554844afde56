"""The handbook and the slides, built once for all tests that read them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.workspace import ROOT
from tests.support.build_once import build_once


@pytest.fixture(scope="session")
def built_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make site` builds. Both builds are strict: a warning is an error."""
    return build_once(tmp_path_factory, "site", _build)


def _build(site: Path) -> None:
    shutil.rmtree(site, ignore_errors=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "site", f"SITE={site}"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
