"""python -m tools.containers.with_python VERSION COMMAND …: in a container with that Python.

The command runs in a fresh clone of the last commit, as root, with the programs that the tests use.
"""

import subprocess
import sys
from pathlib import Path

from kit.workspace import ROOT

from . import project, signals
from .__main__ import CACHE
from .commands import Failed, run
from .engine import Env, NoEngine, engine
from .images import debian

DOCKERFILE = Path(__file__).parent / "pythons"
# What the tests' sandbox does. Not --privileged: the machine itself may not have all that it gives.
SANDBOX = ["--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE"]
SANDBOX += [f"--security-opt={what}=unconfined" for what in ("seccomp", "apparmor", "systempaths")]
# A Debian has one Python at a time, and none has 3.12.
SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}


def main(version: str, command: list[str]) -> int:
    """Build the image, and run the command in it. The exit code."""
    if version not in SUITES:
        print(f"No Debian has Python {version}; there are {', '.join(SUITES)}.", file=sys.stderr)
        return 2
    try:
        with signals.unwinding(), engine(CACHE) as env, project.cleared(env):
            image = _image(version, env)
            # A path with which nothing else begins: tests look for it in what was built.
            script = 'git clone --quiet /kit /clone-of-kit && cd /clone-of-kit && exec "$@"'
            words = ["docker", "run", "--rm", "--init", "--shm-size=1g", *SANDBOX]
            words += ["--label", project.LABEL, f"--volume={ROOT}:/kit:ro"]
            words += ["--volume=python-caches:/root/.cache", image]
            words += ["sh", "-c", script, "sh", *command]
            return subprocess.run(words, env=env, check=False).returncode
    except (Failed, NoEngine) as error:
        print(error, file=sys.stderr)
        return 1


def _image(version: str, env: Env) -> str:
    base = debian(SUITES[version], env)
    name = f"kit-python-{version}"
    print(f"  {name}, from {base}", flush=True)
    words = ["docker", "build", "--quiet", "--build-arg", f"BASE={base}", "--tag", name]
    run([*words, DOCKERFILE], env=env, timeout=900)
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
