"""`setup`: what `./workshop setup` says once set-up, which happens before the kit, is done."""

import platform
import sys
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Annotated

import typer

from kit.processes.redis_tiers import find_redis
from kit.workspace import ROOT, shown

NAMED = ("fastapi", "celery", "redis", "nbclient", "poetry", "uv")


def setup(
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="A folder of wheels or the address of an index, to do without a network.",
        ),
    ] = None,
) -> None:
    """Set up (again), and say what is there.

    Example: ./workshop setup --from /media/usb/wheels
    """
    # Nothing is installed here: kit.setup.bootstrap has done so, from --from too, before this runs.
    count = len({found.metadata["Name"] for found in distributions(path=[_site_packages()])})
    redis = find_redis()
    print(f"Python    {platform.python_version()} in {shown(Path(sys.prefix))}")
    print(f"packages  {count}, as {shown(ROOT / 'requirements.lock')} names them")
    print(f"          {', '.join(f'{name} {version(name)}' for name in NAMED)}")
    print(f"Redis     {redis.tier}: {redis.why}")
    if redis.limits:
        print(f"          {redis.limits}")
    print("Next: ./workshop doctor, then ./workshop demo")


def _site_packages() -> str:
    return str(Path(typer.__file__).parent.parent)
