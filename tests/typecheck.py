"""Type-check projects that each have a package of the same name: one mypy for each, two at once.

python -m tests.typecheck solutions/*/nb_runner exercises/*/nb_runner

Each lane has a cache, and the projects in it share that: what they import is read once, not
thirteen times over. (One cache for both would be written by two at the same time.)
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from kit.paths import ROOT

LANES = 2
# mypy runs in the project, and the reader stands elsewhere.
FILE = re.compile(r"^(?=nb_runner/)", re.MULTILINE)


def check(package: str, lanes: "SimpleQueue[str]") -> tuple[str, bool]:
    """What mypy says about one project, and whether it is good."""
    project = ROOT / package / ".."
    lane = lanes.get()
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    words = [*mypy, "--cache-dir", str(ROOT / ".mypy_cache" / lane), "nb_runner"]
    done = subprocess.run(words, cwd=project.resolve(), capture_output=True, text=True, check=False)
    lanes.put(lane)
    said = FILE.sub(f"{Path(package).parent}/", done.stdout + done.stderr)
    return said, done.returncode == 0


def main(packages: list[str]) -> int:
    """Check all, show what is wrong in any of them; the exit code."""
    lanes: SimpleQueue[str] = SimpleQueue()
    for n in range(LANES):
        lanes.put(f"projects-{n + 1}")
    with ThreadPoolExecutor(LANES) as pool:
        found = list(pool.map(lambda package: check(package, lanes), packages))
    for package, (said, good) in zip(packages, found, strict=True):
        if not good:
            print(f"{package}:\n{said}")
    wrong = sum(not good for _, good in found)
    print(f"mypy: {len(found)} projects, {wrong} with errors")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
