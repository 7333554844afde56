"""The projects of Compose that the tests make: their names, and how to remove all of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from . import signals
from .commands import Failed, run

# The tests run in lanes, beside each other, and each lane that needs a stack has one of its own.
LANES = 3
NAMES = tuple(f"nb-runner-tests-gw{lane}" for lane in range(LANES))  # as xdist calls them
LABEL = f"com.docker.compose.project={NAMES[0]}"  # for a container that Compose has not made


@contextmanager
def cleared(env: dict[str, str]) -> Iterator[None]:
    """Nothing of them is there before, and nothing afterwards."""
    remove(env)
    try:
        yield
    finally:
        signals.ignore()
        remove(env)


def remove(env: dict[str, str]) -> None:
    """Remove their containers, networks and volumes, whatever has left them behind."""
    for name in NAMES:
        _remove(["--quiet", "--filter", f"label=com.docker.compose.project={name}"], env)


def _remove(which: list[str], env: dict[str, str]) -> None:
    for listed, removed in (
        (["ps", "--all"], ["rm", "--force", "--volumes"]),
        (["network", "ls"], ["network", "rm"]),
        (["volume", "ls"], ["volume", "rm", "--force"]),
    ):
        try:
            if found := run(["docker", *listed, *which], env=env, timeout=60).split():
                run(["docker", *removed, *found], env=env, timeout=60)
        except Failed as error:
            print(error)
