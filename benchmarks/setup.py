"""How long set-up of all layers takes on a fresh clone, beside venv and pip."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Measurement, Report, Say, Target, timed
from kit.errors import KitError
from kit.workspace import ROOT

OURS = "./workshop setup --all"
PEER = "venv and pip install -r"
HOW = (
    "From a copy of what git knows of this folder to an environment with every package of "
    "requirements.lock, hashes checked. No caches for either. Ours installs uv first, the kit "
    "last, and prints its summary. pip is spared resolving (--no-deps: the lock is complete), and "
    "compiles all modules, which uv leaves to their first import."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Set up from nothing, in both ways, by turns."""
    ours: list[float] = []
    peers: list[float] = []
    rounds = repeat or 1
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as folder:
        for i in range(1, rounds + 1):
            clone, other = Path(folder, f"clone-{i}"), Path(folder, f"pip-{i}")
            copy_working_tree(clone)
            other.mkdir()
            say(f"{OURS}, {i} of {rounds}")
            ours.append(_workshop(clone))
            shutil.rmtree(clone)
            say(f"{PEER}, {i} of {rounds}")
            peers.append(_pip(other))
            shutil.rmtree(other)
    return Report(
        "Set-up from a fresh clone",
        HOW,
        [Measurement(OURS, ours, peer=PEER), Measurement(PEER, peers)],
        [Target(OURS, "ratio", "at most", 0.35)],
    )


def copy_working_tree(target: Path) -> None:
    """Copy the files that git knows, or would know after `git add`, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise KitError("this is no git repository, so nobody can tell what a clone has", "git init")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():  # not deleted since
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)


def _workshop(clone: Path) -> float:
    return timed(lambda: _run([_python(), "workshop", "setup", "--all"], clone))


def _pip(folder: Path) -> float:
    python = str(folder / ".venv" / "bin" / "python")

    def install() -> None:
        _run([_python(), "-m", "venv", ".venv"], folder)
        # Without --no-deps, pip refuses a pin that is not the newest version, as jsonschema's, when
        # somebody asks for that package with extras.
        lock = str(ROOT / "requirements.lock")
        _run([python, "-m", "pip", "install", "--no-deps", "-r", lock], folder)

    return timed(install)


def _python() -> str:
    """The Python behind our environment: both have to start from the same."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(Path(sys.base_prefix, "bin", version))


def _run(argv: list[str], folder: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env |= {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}
    done = subprocess.run(
        argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-12:])
        raise KitError(f"{' '.join(argv[1:4])} … failed", "read its last words above", tail)
