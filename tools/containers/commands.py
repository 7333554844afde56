"""Run a program, and show what it said when it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Failed(Exception):
    """A step did not work; the message has the command and the end of its output."""


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600,
) -> str:
    """What the command prints.

    Raises:
        Failed: it ended with an error, or not at all within `timeout` seconds.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, env=env, cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{' '.join(words)}: {error}") from None
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise Failed(f"{' '.join(words)}: exit {done.returncode}\n{tail}")
    return done.stdout


def works(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> bool:
    """Whether the command ends without an error."""
    try:
        run(argv, env=env, timeout=60)
    except Failed:
        return False
    return True
