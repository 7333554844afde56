"""The social card: the last frame of the moving picture, as a PNG of 1200 x 630.

`make card` writes it. A page that shows a link to the handbook shows this card beside it. Letters
differ from one machine to the next, so the card also says which picture it was made from.
"""

import hashlib
import io
import sys

from matplotlib.image import imread, imsave
from playwright.sync_api import Browser, sync_playwright

from kit.errors import KitError
from kit.workspace import ROOT
from tests.support.browser import FLAGS, NO_BROWSER, find_browser

PICTURE = ROOT / "docs" / "assets" / "one-at-a-time.svg"
CARD = PICTURE.with_suffix(".png")
SIZE = (1200, 630)


def rendered(browser: Browser, svg: str) -> bytes:
    """The PNG of `svg`: still, which is its last frame, and in the light palette."""
    width, height = SIZE
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="light",
        reduced_motion="reduce",
    )
    try:
        page.set_content(f'<body style="margin: 0">{svg}')
        page.add_style_tag(content="svg { display: block; width: 100%; height: auto; }")
        return page.screenshot()
    finally:
        page.close()


def digest(svg: str) -> str:
    """What the card says of the picture that it was made from."""
    return hashlib.sha256(svg.encode()).hexdigest()


def main() -> None:
    """Write the card. Raises KitError when there is no browser."""
    chromium = find_browser()
    if chromium is None:
        raise KitError(NO_BROWSER, "make card, once it is there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        svg = PICTURE.read_text(encoding="utf-8")
        png = rendered(browser, svg)
        browser.close()
    imsave(CARD, imread(io.BytesIO(png)), metadata={"Source": digest(svg)})


if __name__ == "__main__":
    try:
        main()
    except KitError as error:
        error.show()
        sys.exit(2)
