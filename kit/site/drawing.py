"""The drawings of docs/assets inside of a page: for slides, and for the handbook's steps.

A drawing has two palettes: its own rules take the dark one where the reader's system is dark. A
page that has palettes of its own says here when a drawing inside of it is dark.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from xml.etree import ElementTree

DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{\s*\.drawing (\{[^}]*\})\s*\}")
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
STEP = re.compile(r'<g id="step-(\d+)"')
SVG = "{http://www.w3.org/2000/svg}"
LABEL_ABOVE = 2, 14  # px from the text of an arrow to the arrow: at least, at most
LINE = 24  # px from one line of a text to the next
HALF_CARD = 84  # px from the edge of an actor's card to its line
NEAR = 90  # px: an arrow may end at a bar or a box, beside the line of its actor


def alone(svg: str, place: str, dark: str = "") -> str:
    """The drawing with names of its own: ids are the page's, and so are styles.

    `dark`: a selector of the page around the drawing when it is dark; without it, it is light.
    """
    for name in set(re.findall(r'\bid="([^"]+)"', svg)):
        mine = f"{place}-{name}"
        svg = svg.replace(f'id="{name}"', f'id="{mine}"').replace(f"#{name})", f"#{mine})")
        svg = svg.replace(f'href="#{name}"', f'href="#{mine}"')
        svg = re.sub(rf'(aria-labelledby="[^"]*?)\b{re.escape(name)}(?=[ "])', rf"\1{mine}", svg)

    def own(style: re.Match[str]) -> str:
        # Only rules about the whole drawing: those of the family (.d-api and so on) are the same
        # in all, and would not reach into a <use> if they spoke of what is around it.
        css = DARK.sub(r"@dark \1" if dark else "", style[0])
        css = css.replace(".drawing", f"#{place} .drawing")
        return css.replace("@dark", f"{dark} #{place} .drawing")

    return STYLE.sub(own, svg)


@dataclass(frozen=True)
class Message:
    """What is written in a step: on an arrow, beside an actor, or by itself (then `words` only)."""

    words: str
    sender: str = ""
    receiver: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a drawing: a sentence, and all that is written in it."""

    caption: str
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class _Arrow:
    y: float
    start: float
    end: float


class Drawing:
    """A drawing, as text; its steps, in the groups step-1, step-2 …"""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.svg = source[source.index("<svg") :]

    @property
    def has_steps(self) -> bool:
        """Whether it can be told step by step."""
        return STEP.search(self.svg) is not None

    @cached_property
    def steps(self) -> list[Step]:
        """Its steps, in their order."""
        root = ElementTree.fromstring(self.svg)
        groups = [each for each in root if each.get("id", "").startswith("step-")]
        actors = _Actors()
        actors.add(each for each in root if each not in groups)
        steps = []
        for group in groups:
            actors.add(group)  # a step may begin with a new one, in the lane of one that is gone
            caption = (group.findtext(f"{SVG}desc") or "").strip()
            messages = _messages(group, actors)
            new = [it for it in messages if it.sender or it.words not in caption]
            steps.append(Step(caption, tuple(sorted(new, key=lambda it: not it.sender))))
        return steps

    def as_html(self, place: str, dark: str) -> str:
        """A figure whose steps a script shows one after the other; without it, all is seen."""
        items = "".join(_item(step) for step in self.steps)
        return (
            f'<figure class="steps" id="{place}">{alone(self.svg, place, dark)}'
            f'<ol class="steps-told">{items}</ol></figure>'
        )


def _item(step: Step) -> str:
    rows = "".join(f"<li>{_row(message)}</li>" for message in step.messages)
    return f'<li><p>{escape(step.caption)}</p><ul class="steps-card">{rows}</ul></li>'


def _row(message: Message) -> str:
    who = f"<b>{escape(message.sender)}</b> " if message.sender else ""
    if message.receiver:
        who += f'<span aria-label="to">→</span> <b>{escape(message.receiver)}</b> '
    return f"{who}<span>{escape(message.words)}</span>"


class _Actors:
    """Those of lanes, by the middle of the lane; those of rows, by the height of their name."""

    def __init__(self) -> None:
        self.lanes: dict[float, str] = {}
        self.rows: dict[float, str] = {}

    def add(self, elements: Iterable[ElementTree.Element]) -> None:
        """Take the names of these elements: each comes after its card, or its icon."""
        middle: float | None = None
        for element in elements:
            href = element.get("href", "")
            if element.tag == f"{SVG}use":
                x = float(element.get("x", 0))
                middle = x + HALF_CARD if href.startswith("#card-") else None
            elif _is_name(element):
                if middle is None:
                    self.rows[float(element.get("y", 0))] = _words(element)
                else:
                    self.lanes[middle] = _words(element)

    def near(self, x: float) -> str:
        """The one whose lane is at `x`, or nearly."""
        middle = min(self.lanes, key=lambda each: abs(each - x), default=None)
        return self.lanes[middle] if middle is not None and abs(middle - x) <= NEAR else ""


def _messages(group: ElementTree.Element, actors: _Actors) -> Iterator[Message]:
    arrows = [arrow for path in group.iter(f"{SVG}path") if (arrow := _arrow(path)) is not None]
    for words, x, y in _texts(group):
        arrow = next((each for each in arrows if _is_on(each, x, y)), None)
        if arrow is None:
            yield Message(words, actors.rows.get(y, ""))
        else:
            yield Message(words, actors.near(arrow.start), actors.near(arrow.end))


def _texts(group: ElementTree.Element) -> Iterator[tuple[str, float, float]]:
    """Each text and where its last line is. Lines below each other are one text."""
    lines = [each for each in group.iter(f"{SVG}text") if not _is_name(each)]
    found: list[tuple[str, float, float]] = []
    for line in lines:
        words, x, y = _words(line), float(line.get("x", 0)), float(line.get("y", 0))
        above = found[-1] if found else ("", 0.0, 0.0)
        if above[1] == x and 0 < y - above[2] <= LINE + 2:
            found[-1] = (f"{above[0]} {words}", x, y)
        else:
            found.append((words, x, y))
    yield from found


def _is_name(element: ElementTree.Element) -> bool:
    return element.tag == f"{SVG}text" and "name" in element.get("class", "").split()


def _arrow(path: ElementTree.Element) -> _Arrow | None:
    """An arrow from left to right, or from right to left."""
    found = re.fullmatch(r"M([\d.]+) ([\d.]+)H([\d.]+)", path.get("d", ""))
    if found is None or "line" not in path.get("class", "").split():
        return None
    return _Arrow(float(found[2]), float(found[1]), float(found[3]))


def _is_on(arrow: _Arrow, x: float, y: float) -> bool:
    left, right = sorted((arrow.start, arrow.end))
    least, most = LABEL_ABOVE
    return left < x < right and least <= arrow.y - y <= most


def _words(text: ElementTree.Element) -> str:
    return " ".join("".join(text.itertext()).split())
