"""The decks of slides: the one place where their Markdown is parsed."""

import re
from dataclasses import dataclass
from pathlib import Path

from kit.workspace import ROOT

SLIDES = ROOT / "slides"
# The decks in the order of the talk, and how many minutes the slides of each must add up to.
TALK = {
    "welcome": 4.0,
    "poetry": 4.5,
    "fastapi": 9.0,
    "celery": 8.5,
    "one-at-a-time": 8.0,
    "notebook": 4.0,
    "beyond": 7.0,
}
HEADING = re.compile(r"^#{1,2} (.+)$", re.MULTILINE)
NOW_YOU = re.compile(r"^```\{now-you\} (\d+)", re.MULTILINE)
MINUTES = re.compile(r"^:minutes: ([\d.]+)$", re.MULTILINE)
SHORT = re.compile(r"^:evening:$", re.MULTILINE)


@dataclass(frozen=True)
class Slide:
    """One slide. `short`: shown also when minutes are rare. `before`: an exercise; 0 for none."""

    deck: str
    title: str
    minutes: float
    short: bool
    before: int


def load(folder: Path = SLIDES) -> list[Slide]:
    """All slides, deck by deck, each deck in its order."""
    return [slide for file in sorted(folder.glob("*.md")) for slide in _slides(file)]


def _slides(file: Path) -> list[Slide]:
    """The slides of one deck, each of which tells its minutes.

    The slide that says "now you" is the last before an exercise. What follows the last of those
    in a deck belongs to it, too.
    """
    text = file.read_text(encoding="utf-8")
    heads = list(HEADING.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found: list[Slide] = []
    number = max((int(each) for each in NOW_YOU.findall(text)), default=0)
    for head, end in reversed(list(zip(heads, ends, strict=False))):
        body = text[head.end() : end]
        if now_you := NOW_YOU.search(body):
            number = int(now_you[1])
        if minutes := MINUTES.search(body):
            short = bool(SHORT.search(body))
            found.insert(0, Slide(file.stem, head[1], float(minutes[1]), short, number))
    return found
