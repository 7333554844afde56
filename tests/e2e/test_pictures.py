"""The pictures of the product: they show it as it is, and they stand where people look.

A picture of a page says which files it was made from. While these are the same, it is up to date.
Otherwise it has to look like the page of today. The pictures of a terminal are text: they are made
again, and compared.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray
from playwright.sync_api import Browser

from kit.workspace import ROOT
from tests.support.browser import browser
from tools import pictures
from tools.pictures import ASSETS, PAGES, Photographer

pytestmark = pytest.mark.slow

__all__ = ["browser"]

SQUARE = 20  # pixels: pictures are compared in squares of this size
# Of 1, the mean over a square. Fewer colours make a difference of less than 0.02.
NOISE = 0.1
LARGEST = 150_000  # bytes
MAKE = "make pictures"


@pytest.fixture(scope="module")
def of_today(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the pictures of the pages as they are today."""
    folder = tmp_path_factory.mktemp("today")
    for name, png in Photographer(browser, tmp_path_factory.mktemp("runner")).pages():
        (folder / f"{name}.png").write_bytes(png)
    yield folder


def pixels(file: Path) -> NDArray[np.float64]:
    """Red, green and blue, from 0 to 1."""
    return np.asarray(imread(file), dtype=np.float64)[:, :, :3]


def alike(one: Path, other: Path) -> bool:
    """Whether two pictures differ by no more than noise."""
    first, second = pixels(one), pixels(other)
    if first.shape != second.shape:
        return False
    rows, columns = (length // SQUARE for length in first.shape[:2])
    apart = np.abs(first - second)[: rows * SQUARE, : columns * SQUARE]
    squares = apart.reshape(rows, SQUARE, columns, SQUARE, 3).mean(axis=(1, 3, 4))
    return bool(squares.max() < NOISE)


@pytest.mark.parametrize("name", PAGES)
def test_the_picture_of_a_page_is_up_to_date(name: str, request: pytest.FixtureRequest) -> None:
    picture = ASSETS / f"{name}.png"
    if pictures.sources(name).encode() in picture.read_bytes():
        return
    today: Path = request.getfixturevalue("of_today")
    assert alike(picture, today / picture.name), f"{picture.name} is out of date: {MAKE}"


def test_pictures_that_show_something_else_are_not_alike() -> None:
    running, refused = ASSETS / "runner-running.png", ASSETS / "runner-refused.png"
    assert alike(running, running)
    assert not alike(running, refused)


def test_the_pictures_of_a_terminal_are_up_to_date(tmp_path: Path) -> None:
    for name, svg in pictures.terminals(tmp_path):
        assert (ASSETS / f"{name}.svg").read_text(encoding="utf-8") == svg, MAKE
        assert "http" not in svg.replace("http://www.w3.org/", "").replace("http://127.0.0.1", "")


def test_the_files_are_small() -> None:
    for file in [*ASSETS.glob("*.png"), *ASSETS.glob("watch-*.svg")]:
        assert file.stat().st_size < LARGEST, file.name


@pytest.mark.parametrize("name", [*(f"{name}.png" for name in PAGES), "watch-pass.svg"])
def test_each_picture_is_shown_where_people_look(name: str) -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("slides/*.md")]
    assert any(name in page.read_text(encoding="utf-8") for page in pages)


def test_readme_handbook_and_slides_show_the_product() -> None:
    shown = {
        "README.md": "runner-done.png",
        "docs/index.md": "runner-done.png",
        "slides/welcome.md": "runner-409.png",
    }
    for page, picture in shown.items():
        assert picture in (ROOT / page).read_text(encoding="utf-8"), page
