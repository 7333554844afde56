"""The moving picture of README, home and title slide, and the social card made of it."""

import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from kit.workspace import ROOT
from tests.site import test_drawings
from tests.site.test_drawings import READABLE, VISIBLE, Drawing, contrast
from tests.support.browser import browser
from tools.card import CARD, PICTURE, SIZE, digest, rendered

pytestmark = pytest.mark.slow

__all__ = ["browser"]

DRAWING = Drawing.read(PICTURE.stem)
SECONDS = 12
PHONE = 358  # px: as wide as a picture is in a window of 390
SMALLEST = 12.5  # px of text, at that width
PARTS = 20  # pixels: a card is compared in squares of this size
# Of 1, the mean over a square. A changed word or colour makes a difference of 0.37 and more.
NOISE = 0.1


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser, which shows motion."""
    width, height = SIZE
    page = browser.new_page(
        viewport={"width": width, "height": height}, reduced_motion="no-preference"
    )
    yield page
    page.close()


def palettes() -> list[dict[str, str]]:
    """The colours by name: in the light, and in the dark."""
    found = re.findall(r"svg \{(.*?)\}", DRAWING.source, re.S)
    return [dict(re.findall(r"--(\w+): (#\w{6})", each)) for each in found]


def test_it_says_in_words_what_it_shows_and_asks_nobody() -> None:
    test_drawings.test_it_says_in_words_what_it_shows(DRAWING)
    test_drawings.test_it_asks_nobody_for_anything(DRAWING)


def test_its_text_can_be_read_on_a_phone() -> None:
    sizes = [int(size) for size in re.findall(r"\b(\d+)px", DRAWING.source)]
    width = float(DRAWING.root.get("width", ""))
    assert min(sizes) * PHONE / width >= SMALLEST


def test_both_palettes_have_the_same_names_and_enough_contrast() -> None:
    light, dark = palettes()
    assert light.keys() == dark.keys()
    for each in (light, dark):
        for text in ("text", "yes", "no"):
            assert contrast(each[text], each["panel"]) >= READABLE, text
        for ground in ("yes", "no"):
            assert contrast(each["on"], each[ground]) >= READABLE, ground
        for shape in ("edge", "run", "ada", "bob"):
            assert contrast(each[shape], each["panel"]) >= VISIBLE, shape


def test_it_takes_twelve_seconds_and_shows_its_last_frame_first(page: Page) -> None:
    page.goto(PICTURE.as_uri())
    durations = "document.getAnimations().map(each => each.effect.getTiming().duration)"
    assert set(page.evaluate(durations)) == {SECONDS * 1000}
    go_to = "at => document.getAnimations().forEach(it => { it.pause(); it.currentTime = at })"
    shown = []
    for moment in (0, SECONDS * 1000 / 2):
        page.evaluate(go_to, moment)
        shown.append(page.screenshot())
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    still = page.screenshot()
    assert difference(shown[0], still) < NOISE
    assert difference(shown[1], still) > NOISE


def test_its_address_can_ask_for_the_still_picture(page: Page) -> None:
    page.goto(f"{PICTURE.as_uri()}#still")
    assert page.evaluate("document.getAnimations().length") == 0


def pixels(png: bytes) -> NDArray[np.float64]:
    """Red, green and blue, from 0 to 1."""
    return np.asarray(imread(io.BytesIO(png)), dtype=np.float64)[:, :, :3]


def difference(one: bytes, other: bytes) -> float:
    """How much the squares differ that differ most."""
    rows, columns = SIZE[1] // PARTS, SIZE[0] // PARTS
    apart = np.abs(pixels(one) - pixels(other))[: rows * PARTS, : columns * PARTS]
    return float(apart.reshape(rows, PARTS, columns, PARTS, 3).mean(axis=(1, 3, 4)).max())


def up_to_date(svg: str, browser: Browser) -> bool:
    """Whether the card was made from `svg`, or looks as if: another font is no reason."""
    card = CARD.read_bytes()
    return digest(svg).encode() in card or difference(card, rendered(browser, svg)) < NOISE


def test_the_card_is_the_last_frame(browser: Browser) -> None:
    assert pixels(CARD.read_bytes()).shape == (SIZE[1], SIZE[0], 3)
    assert up_to_date(DRAWING.source, browser), "The card is out of date: make card"


def test_a_change_that_cannot_be_seen_keeps_the_card(browser: Browser) -> None:
    still = rendered(browser, DRAWING.source)
    assert difference(still, rendered(browser, f"{DRAWING.source}<!-- a remark -->")) < NOISE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<use class="at-12" href="#bob-202" x="520"/>', ""),
        ('href="#bob-202" x="520"', 'href="#bob-409" x="520"'),
        ("--held: #f0b849", "--held: #49b8f0"),
        ("locked for ever", "open again"),
    ],
)
def test_a_card_that_is_out_of_date_would_be_noticed(old: str, new: str, browser: Browser) -> None:
    assert old in DRAWING.source
    assert not up_to_date(DRAWING.source.replace(old, new), browser)


def test_it_stands_where_people_begin() -> None:
    for name in ("README.md", "docs/index.md", "slides/welcome.md"):
        assert PICTURE.name in (ROOT / name).read_text(encoding="utf-8"), name
