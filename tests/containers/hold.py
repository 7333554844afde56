"""python -m tests.containers.hold CACHE: an engine with a container, until a signal ends it."""

import subprocess
import sys
import time
from pathlib import Path

from tools.containers import project, signals
from tools.containers.commands import run
from tools.containers.engine import engine

# Nothing is in the image: what the container runs is the machine's own.
FOLDERS = ("/usr", "/lib", "/lib64")
OF_PROJECT = ["--label", project.LABEL]


def main(cache: Path) -> None:
    with signals.unwinding(), engine(cache) as env, project.cleared(env):
        assert run(["docker", "ps", "--all", "--quiet"], env=env) == ""
        nothing = subprocess.run(["tar", "-cT", "/dev/null"], capture_output=True, check=True)
        importing = ["docker", "import", "-", "empty"]
        subprocess.run(importing, input=nothing.stdout, env=env, check=True)
        run(["docker", "network", "create", *OF_PROJECT, "bridged"], env=env)
        mounts = [f"--volume={folder}:{folder}:ro" for folder in FOLDERS]
        words = ["--detach", "--restart", "unless-stopped", "--network", "bridged", *mounts]
        run(["docker", "run", *words, *OF_PROJECT, "empty", "/usr/bin/sleep", "600"], env=env)
        print("up", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
