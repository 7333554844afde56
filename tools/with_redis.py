"""python -m tools.with_redis SERVER …: the graders with this server; more words are for pytest.

It runs what Redis decides: the graders of the solutions from the first that has a Redis, the known
right answers, and the known wrong ones of the exercises about the lease.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kit.errors import KitError
from kit.processes.redis_tiers import find_redis
from kit.workspace import ROOT

FIRST_WITH_REDIS = 5
WRONG_ANSWERS = ("06-", "07-", "12-", "13-")


def main(server: Path, words: list[str]) -> int:
    """Run the tests with this server, and no other. The exit code."""
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    print(said.strip(), flush=True)
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        # Valkey's server, too, is found by the name that is looked for first.
        Path(folder, "redis-server").symlink_to(server.resolve())
        env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "WORKSHOP_REDIS": "system"}
        try:
            find_redis(env)
        except KitError as error:
            raise SystemExit(f"{server}: the kit does not take it: {error}") from None
        return subprocess.run([*_pytest(), *words], env=env, cwd=ROOT, check=False).returncode


def _pytest() -> list[str]:
    graders = [
        f"tests/graders/{file.name}"
        for file in sorted((ROOT / "tests" / "graders").glob("test_*.py"))
        if int(file.name.split("_")[1]) >= FIRST_WITH_REDIS
    ]
    wrong = " or ".join(WRONG_ANSWERS)
    return [
        *(sys.executable, "-m", "pytest", *graders),
        *("tests/course/test_right_answers.py", "tests/course/test_mistakes.py"),
        *("-k", f"graders or a_right_answer_passes or (a_mistake_fails and ({wrong}))"),
    ]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
