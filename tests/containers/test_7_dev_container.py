"""The dev container is built and made ready, as an editor does it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from kit.workspace import ROOT
from tools.containers import project
from tools.containers.commands import run

pytestmark = pytest.mark.containers
LEARNER = 1000  # an editor gives the container's user the number of the folder's owner


def test_the_dev_container_is_ready_after_its_first_command(tmp_path: Path) -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    said = json.loads(re.sub(r"^\s*//.*", "", text, flags=re.MULTILINE))
    folder = tmp_path / "kit"
    run(["git", "clone", "--quiet", ROOT, folder])
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, LEARNER, LEARNER)
    image = run(["docker", "build", "--quiet", ROOT / ".devcontainer"]).strip()
    words = ["docker", "run", "--rm", "--init", f"--user={said['remoteUser']}"]
    words += [f"--label={project.LABEL}", f"--volume={folder}:/kit", "--workdir=/kit", image]
    doctor = run([*words, "bash", "-c", said["postCreateCommand"]], timeout=800)
    assert re.search(r"redis.*/usr/bin/redis-server", doctor, re.IGNORECASE), doctor
