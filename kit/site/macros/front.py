"""The home page: the line to copy."""

import tomllib
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from kit.workspace import ROOT


def clone() -> str:
    """`[[clone]]`: a block with the line that begins the course."""
    return f"```{{ .sh .clone }}\n{first_command()}\n```"


def first_command() -> str:
    """The line that fetches the kit and begins; `[project.urls]` of pyproject.toml has where."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    folder = PurePosixPath(urlsplit(address).path).name.removesuffix(".git")
    return f"git clone {address} && cd {folder} && ./workshop"
