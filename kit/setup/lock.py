"""Reading requirements.lock: which packages, of which versions, with which hashes.

Standard library only, because set-up runs before anything is installed.
"""

import re
from collections.abc import Collection, Iterator

from kit.errors import KitError


def entries(lock: str) -> Iterator[str]:
    """The lock, cut before each line that begins a requirement, without comments."""
    lines = [line for line in lock.splitlines() if not line.lstrip().startswith("#")]
    yield from re.split(r"\n(?=\S)", "\n".join(lines).strip())


def name_of(entry: str) -> str:
    """The name of the package of an entry."""
    return entry.partition("==")[0]


def locked(names: Collection[str], lock: str) -> list[str]:
    """The entries of these packages, as they are. Raises KitError when one is not there."""
    found = [entry for entry in entries(lock) if name_of(entry) in names]
    if missing := set(names) - {name_of(entry) for entry in found}:
        raise KitError(
            f"requirements.lock does not name {min(missing)}",
            "git checkout requirements.lock kit/setup/layers.json",
        )
    return found
