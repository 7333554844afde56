"""What the graders of one check are told, beside which project they grade."""

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kit.errors import KitError

if TYPE_CHECKING:
    from kit.processes.forkserver import ForkServerClient

START_TIMEOUT = 30.0  # seconds for a process to start; a busy machine needs a third of it


@dataclass(frozen=True)
class GraderOptions:
    """How graders run the project that they grade.

    `redis_url` is a Redis that runs already; when it is empty, each grader starts one of its own.
    `shared` is a folder that the project sees where it does not see all of them: in a sandbox.
    `fork_server` forks the API processes and workers; without one they are started as usual.
    """

    redis_url: str = ""
    shared: Path | None = None
    fork_server: "ForkServerClient | None" = None
    start_timeout: float = START_TIMEOUT

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """The defaults; on a slow machine, WORKSHOP_CHECK_START sets the seconds for a start.

        Raises KitError when it is no such number.
        """
        text = env.get("WORKSHOP_CHECK_START") or str(START_TIMEOUT)
        with contextlib.suppress(ValueError):
            if 0 < (seconds := float(text)) < math.inf:
                return cls(start_timeout=seconds)
        raise KitError(
            f"WORKSHOP_CHECK_START is {text!r}, and has to be a number of seconds above 0",
            "unset WORKSHOP_CHECK_START",
        )
