"""Type-check the kit, and projects that each have a package of the same name: one mypy for the
kit, one for each project, two at once.

python -m tools.typecheck kit tests … -- solutions/*/nb_runner exercises/*/nb_runner

Each lane has a cache, and the projects in it share that: what they import is read once, not
once for each of them. (One cache for both would be written by two at the same time.) All projects
are checked from the same folder. Else their files would have the same names, and mypy would take
what it has kept of one project for another.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from kit.workspace import ROOT

LANES = 2


def check(base: str, words: list[str], lanes: "SimpleQueue[str]") -> tuple[str, bool]:
    """What mypy says about `words`, and whether it is good. `base`: what a project imports from."""
    lane = lanes.get()
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    mypy += ["--cache-dir", str(ROOT / ".mypy_cache" / lane), *words]
    if base:
        mypy.append("--explicit-package-bases")
    env = {**os.environ, "MYPYPATH": base}
    done = subprocess.run(mypy, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    lanes.put(lane)
    return done.stdout + done.stderr, done.returncode == 0


def main(kit: list[str], packages: list[str]) -> int:
    """Check all, show what is wrong in any of them; the exit code."""
    lanes: SimpleQueue[str] = SimpleQueue()
    for n in range(LANES):
        lanes.put(f"lane-{n + 1}")
    jobs = [("", kit)] if kit else []  # first, for it takes longest
    jobs += [(str(Path(package).parent), [package]) for package in packages]
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
