"""Print a built deck as PDF: `python slides/pdf.py site/slides/talk.html site/slides.pdf`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kit.errors import KitError  # noqa: E402  (the kit is beside us, and need not be installed)
from kit.site.server import serving  # noqa: E402

PRINTED = "window.Reveal && Reveal.isReady() && document.querySelector('.pdf-page')"
TIMEOUT = 60_000  # ms


def print_deck(page: Path, pdf: Path) -> None:
    """Print all slides of the page, one on each sheet, all their steps done. Raises KitError."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import FLAGS, NO_BROWSER, find_browser

    chromium = find_browser()
    if chromium is None:
        raise KitError(NO_BROWSER, "make pdf, once it is there")
    if not page.is_file():
        raise KitError(f"there is no {page}", "make site")
    pdf.parent.mkdir(parents=True, exist_ok=True)
    # Served, because a page from a file may not ask for the files beside it.
    with serving(page.parent) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1280, "height": 720})
        tab.goto(f"{address}{page.name}?print-pdf")
        tab.wait_for_function(PRINTED, timeout=TIMEOUT)
        tab.pdf(path=str(pdf), prefer_css_page_size=True, print_background=True)
        browser.close()


def main() -> None:
    """Run from the command line."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: python slides/pdf.py PAGE PDF")
    try:
        print_deck(Path(sys.argv[1]), Path(sys.argv[2]))
    except KitError as error:
        error.show()
        raise SystemExit(2) from None
    print(sys.argv[2])


if __name__ == "__main__":
    main()
