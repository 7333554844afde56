"""The layers: parts of the packages, each installed when something asks for it.

One lock, requirements.lock, has all packages with their versions and hashes. `layers.json`, which
`make lock` writes too, names the packages of each layer, and says how large they are. So the
versions of two layers cannot differ.

Standard library only, because set-up runs before anything is installed.
"""

import functools
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import KitError

TABLE = Path(__file__).with_name("layers.json")


@dataclass(frozen=True)
class Layer:
    """What it is for, in words. `needs`: other layers that it builds on, beside the course.

    `groups`: those of pyproject.toml that name its packages.
    """

    purpose: str
    needs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


# In the order in which they build on each other.
LAYERS = {
    "course": Layer("exercises 01 to 09"),
    "notebook": Layer("running notebooks, from exercise 10 on", (), ("notebook",)),
    "data": Layer("the flights, and the notebook about them", ("notebook",), ("data",)),
    "postgresql": Layer("PostgreSQL as the database", ("data",), ("postgresql",)),
    "site": Layer("handbook and slides, and serving a room", ("notebook",), ("site",)),
    "lab": Layer("JupyterLab", ("data",), ("lab",)),
    "develop": Layer(
        "tests, lint and benchmarks",
        ("notebook", "data", "postgresql", "site", "lab"),
        ("test", "lint", "bench"),
    ),
}
# What a verb needs in any case. What an exercise needs is in its exercise.toml.
VERBS = {
    "demo": "data",
    "dev": "develop",
    "docs": "site",
    "lab": "lab",
    "room": "site",
    "seed": "data",
    "slides": "site",
}


def with_needs(names: Iterable[str]) -> list[str]:
    """These layers and all that they build on, in order. Raises KitError for an unknown name."""
    wanted = {"course"}
    for name in names:
        if name not in LAYERS:
            raise KitError(
                f"there is no layer {name!r}; there is {', '.join(LAYERS)}",
                "./workshop setup --all",
            )
        wanted |= {name, *LAYERS[name].needs}
    for name in list(wanted):
        wanted |= set(LAYERS[name].needs)
    return [name for name in LAYERS if name in wanted]


def for_database(url: str) -> str:
    """The layer that a notebook needs which reads from, or writes to, a database of that URL."""
    return "postgresql" if url.startswith("postgres") else "data"


def packages(names: Iterable[str]) -> set[str]:
    """The packages of layers, by name."""
    return {package for name in names for package in _table()["packages"][name]}


def megabytes(name: str) -> float:
    """How much there is to download for a layer on this machine, without those below it."""
    sizes = _table()["megabytes"][name]
    of_system = sizes.get(this_system(), sizes["linux-x86_64"])
    found: float = of_system.get("{}.{}".format(*sys.version_info), max(of_system.values()))
    return found


def this_system() -> str:
    """The name of this kind of machine, as `pack --platform` takes it."""
    system = {"Darwin": "macos"}.get(platform.system(), platform.system().lower())
    return f"{system}-{platform.machine()}"


@functools.cache
def _table() -> dict[str, Any]:
    import json

    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
