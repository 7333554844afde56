"""Type-check the kit, and projects that each have a package of the same name: one mypy for the
kit, one for each project, two at once.

python -m tools.typecheck kit tests … -- solutions/*/nb_runner exercises/*/nb_runner

Each lane has a cache, and the projects in it share that: what they import is read once, not
once for each of them. (One cache for both would be written by two at the same time.)
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from kit.workspace import ROOT

LANES = 2
# mypy runs in the project, and the reader stands elsewhere.
FILE = re.compile(r"^(?=nb_runner/)", re.MULTILINE)


def check(where: str, words: list[str], lanes: "SimpleQueue[str]") -> tuple[str, bool]:
    """What mypy says about `words` in a folder of ours, and whether it is good."""
    lane = lanes.get()
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    mypy += ["--cache-dir", str(ROOT / ".mypy_cache" / lane), *words]
    done = subprocess.run(mypy, cwd=ROOT / where, capture_output=True, text=True, check=False)
    lanes.put(lane)
    said = FILE.sub(f"{where}/", done.stdout + done.stderr) if where else done.stdout + done.stderr
    return said, done.returncode == 0


def main(kit: list[str], packages: list[str]) -> int:
    """Check all, show what is wrong in any of them; the exit code."""
    lanes: SimpleQueue[str] = SimpleQueue()
    for n in range(LANES):
        lanes.put(f"lane-{n + 1}")
    jobs = [("", kit)] if kit else []  # first, for it takes longest
    jobs += [(str(Path(package).parent), ["nb_runner"]) for package in packages]
    with ThreadPoolExecutor(LANES) as pool:
        found = list(pool.map(lambda job: check(job[0], job[1], lanes), jobs))
    for said, good in found:
        if not good:
            print(said, end="")
    wrong = sum(not good for _, good in found)
    print(f"mypy: {'the kit and ' if kit else ''}{len(packages)} projects, {wrong} with errors")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    end = sys.argv.index("--")
    raise SystemExit(main(sys.argv[1:end], sys.argv[end + 1 :]))
