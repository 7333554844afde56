"""Where set-up takes packages from, when not from where pip and uv look by themselves.

Standard library only, because it is used before anything is installed.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from kit.errors import KitError, without_password

# The settings of pip and uv that a set-up from an index keeps. All others may name another source.
KEPT = (
    *("PIP_CACHE_DIR", "PIP_CERT", "PIP_NO_CACHE_DIR"),
    *("UV_CACHE_DIR", "UV_LINK_MODE", "UV_NO_CACHE"),
)


@dataclass(frozen=True)
class Source:
    """A folder of wheels, or the address of an index (PEP 503). Nothing else is looked at."""

    place: str

    @classmethod
    def named(cls, word: str) -> Self:
        """The source that the user means. Raises KitError for a folder that is not there."""
        if word.startswith(("http://", "https://")):
            return cls(word)
        folder = Path(word).expanduser().absolute()
        if not folder.is_dir():
            raise KitError(f"there is no folder {folder} to install from", "./workshop setup")
        return cls(str(folder))

    @property
    def is_index(self) -> bool:
        """Whether it is an address, and not a folder."""
        return "://" in self.place

    @property
    def shown(self) -> str:
        """The place as it may be printed: an address may have a password in it."""
        return without_password(self.place) if self.is_index else self.place

    @property
    def for_pip(self) -> list[str]:
        """The options that have pip look here, and nowhere else."""
        if not self.is_index:
            return ["--no-index", "--find-links", self.place]
        address = urlsplit(self.place)
        # pip refuses what has no certificate. The hashes of the lock decide what is installed.
        plain = ["--trusted-host", address.netloc.rpartition("@")[2]]
        return ["--index-url", self.place, *(plain if address.scheme == "http" else [])]

    @property
    def for_uv(self) -> list[str]:
        """The options that have uv look here, and nowhere else."""
        if not self.is_index:
            return ["--no-index", "--find-links", self.place]
        return ["--default-index", self.place]

    def env(self, env: Mapping[str, str]) -> dict[str, str]:
        """`env` without what names other sources to pip and uv."""
        if not self.is_index:
            return dict(env)
        result = {
            name: value
            for name, value in env.items()
            if name in KEPT or not name.startswith(("PIP_", "UV_"))
        }
        result |= {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
        host = urlsplit(self.place).hostname or ""
        if _is_near(host):
            # A proxy does not know the network of this room.
            for name in ("NO_PROXY", "no_proxy"):
                result[name] = ",".join(filter(None, [env.get(name, ""), host]))
        return result


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".local")
