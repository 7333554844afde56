"""The scripts that Redis runs: each is one atomic step, which nothing can come between."""

from importlib.resources import files


def script(name: str) -> str:
    """The text of a script in this folder, after that of lease.lua, with which all begin."""
    return "\n".join(_text(each) for each in ("lease", name))


def _text(name: str) -> str:
    return (files(__name__) / f"{name}.lua").read_text(encoding="utf-8")


class Seen:
    """The largest number of the marker that this process knows of; lease.lua says what it is."""

    def __init__(self) -> None:
        self.number = 0

    def note(self, number: int | str) -> None:
        """Redis has told a number."""
        self.number = max(self.number, int(number))
