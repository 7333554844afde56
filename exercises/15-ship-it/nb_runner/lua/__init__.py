"""The scripts that Redis runs: each is one atomic step, which nothing can come between."""

from importlib.resources import files


def script(name: str) -> str:
    """The text of a script in this folder, after that of lease.lua, with which all begin."""
    return "\n".join(_text(each) for each in ("lease", name))


def _text(name: str) -> str:
    return (files(__name__) / f"{name}.lua").read_text(encoding="utf-8")
