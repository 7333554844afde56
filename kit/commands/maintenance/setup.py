"""`setup`: what `./workshop setup` says once set-up, which happens before the kit, is done."""

import platform
import sys
from importlib.metadata import distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from kit.processes.redis_tiers import find_redis
from kit.setup.bootstrap import has
from kit.setup.layers import LAYERS
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
    layers: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help=f"What to install: {', '.join(LAYERS)}."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of it, for those who will have no network.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what is missing: repair nothing.")
    ] = False,
) -> None:
    """Set up (again), and say what is there. What else is needed is installed when it is needed.

    Example: ./workshop setup --all --from /media/usb/wheels
    """
    # Nothing is installed here: kit.setup.bootstrap has done so, from --from too, before this runs.
    count = len({found.metadata["Name"] for found in distributions(path=[_site_packages()])})
    redis = find_redis()
    print(f"Python    {platform.python_version()} in {shown(Path(sys.prefix))}")
    print(f"packages  {count}, as {shown(ROOT / 'requirements.lock')} names them")
    there = [name for name in NAMED if find_spec(name)]
    print(f"          {', '.join(f'{name} {version(name)}' for name in there)}")
    print(f"layers    {', '.join(name for name in LAYERS if has(name))}")
    print(f"Redis     {redis.tier}: {redis.why}")
    if redis.limits:
        print(f"          {redis.limits}")
    print("Next: ./workshop doctor, then ./workshop demo")


def _site_packages() -> str:
    return str(Path(typer.__file__).parent.parent)
