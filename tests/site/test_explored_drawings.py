"""The drawings of what `explore` finds are made anew, and are what the handbook shows."""

import pytest
from playwright.sync_api import Browser

from tests.site import test_drawings as drawings
from tests.site.test_drawings import ASSETS, COLLISIONS, GENERATED, Drawing
from tests.support.browser import browser
from tools.explored_drawings import DRAWINGS, drawn

pytestmark = pytest.mark.slow

__all__ = ["browser"]


def test_each_of_them_is_made_by_the_tool() -> None:
    assert sorted(DRAWINGS) == sorted(GENERATED)


@pytest.mark.parametrize("name", GENERATED)
def test_the_drawing_is_what_is_found(name: str) -> None:
    kept = (ASSETS / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn(name) == kept, "python -m tools.explored_drawings writes it anew"


@pytest.mark.parametrize("name", GENERATED)
def test_it_is_one_of_the_family(name: str, browser: Browser) -> None:
    drawing = Drawing.read(name)
    drawings.require_family(drawing)
    page = browser.new_page()
    page.goto((ASSETS / f"{name}.svg").as_uri())
    assert page.evaluate(COLLISIONS) == []
    page.close()
