"""The drawings: one family, readable by everybody, and closed in themselves.

Most are drawn by hand. What all of them share, styles, icons and cards for the actors, stands at
the top of each, from `<style>` to `</defs>`, letter by letter the same: to change it, change it in
all. Text stands on surfaces of its own, so it does not matter what a page's background is. Each has
two palettes, light and dark.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page

from kit.site import drawing as site_drawing
from kit.workspace import ROOT
from tests.support.browser import browser

pytestmark = pytest.mark.slow

__all__ = ["browser"]

ASSETS = ROOT / "docs" / "assets"
NAMES = (
    "use-case",
    "asgi",
    "celery-parts",
    "task-states",
    "two-processes",
    "wrong-lock",
    "right-lock",
    "cancel",
    "results-and-errors",
    "kernel",
    "live-progress",
    "dead-worker",
    "lease",
    "released-by-del",
    "fencing-token",
    "runner-architecture",
    "kernel-guard",
    "one-verdict",
)
# Written by tools/explored_drawings.py; tests/site/test_explored_drawings.py compares them.
GENERATED = ("explored-comes-twice", "explored-dead-worker", "explored-two-get-in")
# It moves and has two palettes: tests/site/test_moving_picture.py looks at it.
MOVING = ("one-at-a-time",)
TERMINALS = ("watch-failure", "watch-pass")  # photographed: tests/e2e/test_pictures.py
TOLD_IN_STEPS = (
    "wrong-lock",
    "right-lock",
    "cancel",
    "live-progress",
    "dead-worker",
    "lease",
    "released-by-del",
    "fencing-token",
    "kernel-guard",
)
WIDTH = 960
SMALLEST = 14  # px of text, at that width
READABLE = 4.5  # WCAG AA for text
VISIBLE = 3.0  # WCAG AA for shapes that mean something
SHAPES = {"g", "use", "rect", "circle", "ellipse", "path", "text", "tspan"}
ALLOWED = SHAPES | {"svg", "title", "desc", "style", "defs", "marker"}
PAINT = {"fill", "stroke", "style", "font-size", "font-family", "opacity", "transform"}
CHARACTER = 0.5  # of the font's size, narrowly: an estimate that no font contradicts


@dataclass(frozen=True)
class Drawing:
    """A drawing, as text and as a tree."""

    name: str
    source: str

    @classmethod
    def read(cls, name: str) -> "Drawing":
        """The drawing of that name."""
        return cls(name, (ASSETS / f"{name}.svg").read_text(encoding="utf-8"))

    @cached_property
    def root(self) -> ElementTree.Element:
        """The tree, without namespaces. One that does not parse fails here."""
        root = ElementTree.fromstring(self.source)
        for element in root.iter():
            element.tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        return root

    @cached_property
    def family(self) -> str:
        """What it shares with the others."""
        shared = re.search(r"<style>.*</defs>", self.source, re.DOTALL)
        assert shared, f"{self.name}.svg has no shared part, from <style> to </defs>"
        return shared[0]

    @cached_property
    def palettes(self) -> dict[str, dict[str, str]]:
        """The colours of each palette, by their names."""
        style = self.root.findtext("style") or ""
        light, dark = re.findall(r"\.drawing \{([^}]*--ink[^}]*)\}", style)
        colour = r"--([\w-]+): (#[0-9a-f]{6});"
        return {"light": dict(re.findall(colour, light)), "dark": dict(re.findall(colour, dark))}

    @cached_property
    def rules(self) -> dict[str, dict[str, str]]:
        """The style, as selector → property → value. Colours are names: var(--ink)."""
        style = (self.root.findtext("style") or "").partition("}\n    }\n")[2]
        return {
            selector.strip(): {
                name.strip(): value.strip()
                for name, _, value in (part.partition(":") for part in body.split(";"))
                if value
            }
            for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style)
        }

    def painted(self, palette: str) -> dict[str, dict[str, str]]:
        """The rules with the colours of a palette."""
        colours = self.palettes[palette]
        return {
            selector: {
                name: re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], value)
                for name, value in rule.items()
            }
            for selector, rule in self.rules.items()
        }

    @cached_property
    def height(self) -> float:
        """How high it is, at its natural width."""
        return float(self.root.get("viewBox", "0 0 0 0").split()[3])

    def drawn(self) -> Iterator[ElementTree.Element]:
        """All that is its own: not shared, not the words for those who cannot see it."""
        for child in self.root:
            if child.tag not in ("style", "defs", "title", "desc"):
                yield from child.iter()


@pytest.fixture(params=NAMES)
def drawing(request: pytest.FixtureRequest) -> Drawing:
    """Each of the drawings."""
    return Drawing.read(request.param)


def test_the_list_here_is_the_folder() -> None:
    assert sorted([*NAMES, *GENERATED, *MOVING, *TERMINALS]) == sorted(
        path.stem for path in ASSETS.glob("*.svg")
    )


def test_each_drawing_is_used() -> None:
    pages = [path for folder in ("docs", "slides") for path in (ROOT / folder).rglob("*.md")]
    pages += ROOT.glob("*.md")
    prose = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    unused = [name for name in NAMES + GENERATED + MOVING if f"{name}.svg" not in prose]
    assert not unused, f"No page and no slide shows {unused}."


def test_it_says_in_words_what_it_shows(drawing: Drawing) -> None:
    root = drawing.root
    assert root.get("role") == "img"
    words = {element.get("id"): element for element in root if element.tag in ("title", "desc")}
    # The name is in the id: several drawings may be put into one page.
    ids = [f"{drawing.name}-title", f"{drawing.name}-desc"]
    assert root.get("aria-labelledby", "").split() == ids
    title, description = (words[name].text or "" for name in ids)
    assert 10 <= len(title) <= 90
    assert len(description) > 2 * len(title), "The description should tell what happens."


def test_opened_alone_the_page_around_it_is_as_dark(drawing: Drawing) -> None:
    assert ".drawing:root { color-scheme: light dark; }" in drawing.family


def test_its_text_is_text_and_large_enough(drawing: Drawing) -> None:
    root = drawing.root
    assert len(root.findall(".//text")) >= 8
    assert root.get("viewBox", "").split()[:3] == ["0", "0", str(WIDTH)]
    assert (root.get("width"), root.get("height")) == (str(WIDTH), f"{drawing.height:g}")
    sizes = [float(size) for size in re.findall(r"\bfont(?:-size)?: (\d+)px", drawing.family)]
    assert sizes and min(sizes) >= SMALLEST


def test_it_asks_nobody_for_anything(drawing: Drawing) -> None:
    root = drawing.root
    assert {element.tag for element in root.iter()} <= ALLOWED
    ids = [name for element in root.iter() if (name := element.get("id"))]
    assert len(ids) == len(set(ids)), "An id is there twice."
    values = [value for element in root.iter() for value in element.attrib.values()]
    for target in re.findall(r"url\((.*?)\)", drawing.source):
        assert target.removeprefix("#") in ids, f"url({target}) leads nowhere, or abroad."
    for element in root.iter():
        for attribute, value in element.attrib.items():
            assert not attribute.startswith("on"), f"{attribute} is a script"
            if attribute.split("}")[-1] == "href":
                assert value.startswith("#") and value[1:] in ids, f"{value} leads nowhere here."
    for forbidden in ("://", "@import", "@font-face", "data:"):
        style = root.findtext("style") or ""
        assert not any(forbidden in text for text in [style, *values]), f"{forbidden} in there"


def test_it_is_one_of_the_family(drawing: Drawing) -> None:
    assert drawing.family == Drawing.read(NAMES[0]).family
    panel = next(element for element in drawing.drawn())
    assert panel.get("class") == "panel", "First comes the panel that everything stands on."


def test_it_has_no_looks_of_its_own(drawing: Drawing) -> None:
    """An unknown class would be drawn black; a colour of its own would not be checked below."""
    known = set(re.findall(r"\.([a-z][a-z-]*)", " ".join(drawing.rules)))
    for element in drawing.drawn():
        classes = set(element.get("class", "").split())
        assert classes <= known | {"step"}, f"no style for {classes - known}"
        assert not PAINT & set(element.attrib), element.attrib
        if element.tag not in ("g", "use", "text", "tspan", "desc"):
            assert classes, f"{element.tag} {element.attrib} has no class: it would be black"


@pytest.mark.parametrize("palette", ["light", "dark"])
def test_its_colours_can_be_told_apart(palette: str) -> None:
    """Any text on any surface, so that no rule has to know what stands on what."""
    rules = Drawing.read(NAMES[0]).painted(palette)
    lines = (".life", ".line", ".rule", ".stop", ".cross", ".d-tip", ".d-tip-bad")
    texts = {
        selector: rule["fill"]
        for selector, rule in rules.items()
        if re.search(r" text|\.quiet", selector) and "fill" in rule
    }
    surfaces = {
        selector: rule["fill"]
        for selector, rule in rules.items()
        if selector not in texts and not selector.endswith(lines) and rule.get("fill") != "none"
        if "fill" in rule
    }
    strokes = {
        selector: rule["stroke"]
        for selector, rule in rules.items()
        if selector.startswith(".d-")
        if "stroke" in rule
    }
    assert len(texts) >= 3 and len(surfaces) >= 10 and len(strokes) >= 10
    for (text, ink), (surface, paper) in product(texts.items(), surfaces.items()):
        assert contrast(ink, paper) >= READABLE, f"{text} on {surface}"
    for actor, stroke in strokes.items():
        assert contrast(stroke, rules[".drawing .panel"]["fill"]) >= VISIBLE, actor


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21), ("#767676", "#ffffff", 4.54), ("#123456", "#123456", 1)],
)
def test_contrast_is_measured_as_wcag_does(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)


def test_its_text_is_in_the_picture(drawing: Drawing) -> None:
    """By an estimate that needs no browser; with one, see below."""
    for text in drawing.root.iter("text"):
        words = " ".join("".join(text.itertext()).split())
        left, y = float(text.attrib["x"]), float(text.attrib["y"])
        classes = text.get("class", "").split()
        width = len(words) * CHARACTER * 18
        left -= width if "end" in classes else width / 2 if "mid" in classes else 0
        assert left >= 4 and left + width <= WIDTH - 4, f"{words!r} runs out of the picture"
        assert 20 <= y <= drawing.height - 8, f"{words!r} is above or below the picture"


def test_those_told_in_steps_are_all_that_have_steps() -> None:
    having = [name for name in NAMES if 'id="step-' in Drawing.read(name).source]
    assert sorted(having) == sorted(TOLD_IN_STEPS)


@pytest.mark.parametrize("name", TOLD_IN_STEPS)
def test_it_can_be_told_step_by_step(name: str) -> None:
    groups = [group for group in Drawing.read(name).root if group.tag == "g"]
    numbers = range(1, len(groups) + 1)
    assert [group.get("id") for group in groups] == [f"step-{number}" for number in numbers]
    assert len(groups) >= 5
    for group in groups:
        assert len(group.findtext("desc") or "") > 15, "Each step has its sentence."


def test_a_step_tells_who_writes_what_to_whom() -> None:
    source = (ASSETS / "wrong-lock.svg").read_text(encoding="utf-8")
    steps = site_drawing.Drawing("wrong-lock", source).steps
    assert steps[0].caption == "A client sends POST /start. The API takes a lock in Redis."
    assert [(it.sender, it.receiver, it.words) for it in steps[1].messages] == [
        ("API", "Redis", "queue the run"),
        ("API", "client", "202"),
        ("Redis", "worker 1", "the run"),
    ]


@pytest.mark.parametrize("name", TOLD_IN_STEPS)
def test_nothing_that_is_written_in_a_step_gets_lost(name: str) -> None:
    drawing = Drawing.read(name)
    for group, step in zip(
        (each for each in drawing.root if each.tag == "g"),
        site_drawing.Drawing(name, drawing.source).steps,
        strict=True,
    ):
        told = " ".join([step.caption, *(message.words for message in step.messages)])
        for text in group.iter("text"):
            words = " ".join("".join(text.itertext()).split())
            assert words in told or "name" in text.get("class", ""), words


def test_a_drawing_within_a_page_is_dark_where_the_page_says_so() -> None:
    source = (ASSETS / "lease.svg").read_text(encoding="utf-8")
    dark, light = (site_drawing.alone(source, "here", by) for by in (".night", ""))
    assert "prefers-color-scheme" not in dark + light
    assert ".night #here .drawing {" in dark and dark.count("--ink:") == 2
    assert light.count("--ink:") == 1


# A text must stay in the picture, off all other text, and not run over the edge of a box.
COLLISIONS = """() => {
    const inner = (box, by) => ({
        left: box.x + by, right: box.x + box.width - by,
        top: box.y + by, bottom: box.y + box.height - by });
    const meet = (a, b) =>
        a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const holds = (a, b) =>
        a.left <= b.left && b.right <= a.right && a.top <= b.top && b.bottom <= a.bottom;
    const texts = [...document.querySelectorAll("text")];
    const areas = texts.map((text) => inner(text.getBBox(), 2));
    const rects = [...document.querySelectorAll("rect:not(defs rect), use[href^='#card-']")]
        .map((box) => inner(box.getBBox(), 0));
    const narrow = (box) => box.right - box.left < 40;  // who is at work, or holds what
    const boxes = rects.filter((box) => !narrow(box));
    const icons = [...document.querySelectorAll("use[href^='#icon-']:not(defs use)")]
        .filter((icon) => icon.getAttribute("href") != "#icon-token")  // a number stands on it
        .map((icon) => inner(icon.getBBox(), 2));
    const cards = [...document.querySelectorAll("use[href^='#card-']")]
        .map((card) => { const box = card.getBBox();
            return inner({ x: box.x + 8, y: box.y + 9, width: 36, height: 36 }, 0); });
    const problems = [];
    areas.forEach((area, at) => {
        const words = texts[at].textContent;
        areas.slice(at + 1).forEach((other, next) => {
            if (meet(area, other)) problems.push(
                `${words} is on ${texts[at + 1 + next].textContent}`); });
        for (const box of boxes)
            if (meet(area, box) && !holds(box, area)) problems.push(`${words} is on an edge`);
        for (const icon of [...icons, ...cards, ...rects.filter(narrow)])
            if (meet(area, icon)) problems.push(`${words} is on an icon or a bar`);
    });
    return problems;
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser."""
    page = browser.new_page()
    yield page
    page.close()


def test_no_text_is_on_anything_else(drawing: Drawing, page: Page) -> None:
    page.goto((ASSETS / f"{drawing.name}.svg").as_uri())
    assert page.evaluate(COLLISIONS) == []


def require_family(drawing: Drawing) -> None:
    """Demand of a generated drawing what the handbook's drawings keep to."""
    for check in (
        test_it_says_in_words_what_it_shows,
        test_its_text_is_text_and_large_enough,
        test_it_asks_nobody_for_anything,
        test_it_has_no_looks_of_its_own,
        test_its_text_is_in_the_picture,
    ):
        check(drawing)
    assert drawing.rules.items() <= Drawing.read(NAMES[0]).rules.items()


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, #rrggbb, as WCAG 2 defines it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """How bright a colour is, from 0 to 1."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
