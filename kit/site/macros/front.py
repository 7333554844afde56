"""The home page: the line to type first."""

import tomllib

from kit.workspace import ROOT

FOLDER = "course"  # shorter than the name of the repository, so the line fits a page


def clone() -> str:
    """`[[clone]]`: a block with the line that begins the course."""
    return f"```{{ .sh .clone }}\n{first_command()}\n```"


def begin() -> str:
    """The same block, in the handbook that a clone serves: its reader has the kit."""
    return "```{ .console .begin }\n$ ./workshop\n```"


def first_command() -> str:
    """The line that fetches the kit and begins; `[project.urls]` of pyproject.toml has where."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"git clone {project['urls']['Repository']} {FOLDER} && cd {FOLDER} && ./workshop"
