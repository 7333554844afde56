"""python -m tools.containers [words for pytest]: see the package."""

import os
import subprocess
import sys
import time

from kit.workspace import ROOT

from . import project, signals
from .commands import Failed
from .engine import NoEngine, engine
from .images import provide

TEST_TIMEOUT = ("--timeout", "900")  # seconds for each test; several wait for images to be built
CACHE = ROOT / ".workshop" / "containers"


def main(words: list[str]) -> int:
    """Bring up what is missing, test, and end it again. The exit code."""
    began = time.monotonic()
    try:
        with signals.unwinding(), engine(CACHE) as env, project.cleared(env):
            stand_ins = [name for name, is_one in provide(env).items() if is_one]
            print(f"Stand-ins: {', '.join(stand_ins) or 'none'}.", flush=True)
            print(f"  all is up after {time.monotonic() - began:.0f} s", flush=True)
            env["CONTAINERS_STAND_INS"] = " ".join(stand_ins)
            lanes = ["-n", str(project.LANES), "--dist", "loadfile", "--no-loadscope-reorder"]
            command = [sys.executable, "-m", "pytest", "-m", "containers", *lanes, *TEST_TIMEOUT]
            return subprocess.run(
                [*command, "tests/containers", *words], env=env, cwd=ROOT, check=False
            ).returncode
    except NoEngine as why:
        print(f"The containers were not run: {why}.")
        # Where a machine has lost what it had, CI is to notice.
        return 1 if os.environ.get("CONTAINERS") == "required" else 0
    except Failed as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
