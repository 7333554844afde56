"""What a project under test has in its environment: what a program needs to run, and no more.

A variable such as CELERY_BROKER_URL or PYTHONWARNINGS, set for another purpose, would decide on a
verdict.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping

# Where programs and the home folder are, who the user is, where temporary files go. Some systems
# have their libraries in places of their own.
ALLOWED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
)
OURS = "WORKSHOP_"  # how the names of the kit's own variables begin
# Celery and uvicorn read these, and what they read wins over the Redis and the socket of the kit.
# Other settings of uvicorn are wanted: a proxy's prefix is UVICORN_ROOT_PATH.
OVERRIDING = (
    *("CELERY_", "WEB_CONCURRENCY"),
    *("UVICORN_FD", "UVICORN_HOST", "UVICORN_PORT", "UVICORN_UDS", "UVICORN_WORKERS"),
)


def allowed(env: Mapping[str, str]) -> dict[str, str]:
    """The part of `env` that a project under test gets. Its locale is the one of the sandbox."""
    found = {name: value for name, value in env.items() if name in ALLOWED or name.startswith(OURS)}
    return found | {"LANG": "C.UTF-8"}


def overriding(env: Mapping[str, str]) -> list[str]:
    """The variables that a runner does not get: Celery or uvicorn would obey them."""
    return sorted(name for name in env if name.startswith(OVERRIDING))


@contextlib.contextmanager
def replaced(env: Mapping[str, str]) -> Iterator[None]:
    """Have `env`, and no other variable, in this process: a library reads what it likes."""
    before = dict(os.environ)
    try:
        _replace(env)
        yield
    finally:
        _replace(before)


def _replace(env: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
