"""Whether the project's guard waits for the first beat: a guard with a short limit, and no beat.

    python -m kit.grading.programs.guarded RESULT_FILE

The result is what the guard did: it "waited", or "ended" its command, or "did not start" it.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from kit.grading.waiting import eventually

GUARD = "nb_runner/guard.py"
BEAT_TIMEOUT = 0.3  # seconds; the guard's limit
SILENCE = 1.5  # seconds without a beat, from the start of its command on
END_TIMEOUT = 1.0  # seconds for the guard to end
COMMAND = ("sh", "-c", 'touch "$0" && exec sleep 60')  # a file says that it has started


def main(result: str) -> None:
    """Let the guard start its command, and send no beat."""
    started = Path(result).with_name("started")
    lifeline, ours = os.pipe()
    # As kernel.py starts it.
    options = [sys.executable, "-I", "-S", GUARD, str(lifeline), str(BEAT_TIMEOUT)]
    guard = subprocess.Popen([*options, *COMMAND, str(started)], pass_fds=[lifeline])
    os.close(lifeline)

    def ended() -> bool:
        return guard.poll() is not None

    eventually(lambda: started.exists() or ended())
    did = "did not start"
    if started.exists():
        did = "ended" if eventually(ended, SILENCE) else "waited"
    Path(result).write_text(json.dumps(did))
    os.close(ours)
    with suppress(subprocess.TimeoutExpired):
        guard.wait(END_TIMEOUT)
    guard.kill()


if __name__ == "__main__":
    main(sys.argv[1])
