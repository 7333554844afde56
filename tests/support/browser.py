"""A real browser for the tests of the page, and a page that does not forgive.

A test fails when the page logs an error, throws one, or asks any other host for anything.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

from tests.support.requirements import absent

# The first has no window to draw: it does the same work in a third of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
ABSENT = "no Chromium or Chrome on this machine. On Debian: apt-get install -y chromium"
FLAGS = [
    "--no-sandbox",  # as root, in containers; the tests open nothing but their own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A browser logs each answer of 400 and above. Those are the page's to deal with, and it does.
STATUS = re.compile(r"the server responded with a status of \d+")
PATIENCE = 60_000  # ms; only ever spent by a test that fails

OpenPage = Callable[..., Page]


def find_browser() -> str | None:
    """The path of a browser that Playwright can drive."""
    if ON_MACOS.is_file():
        return str(ON_MACOS)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    path = find_browser()
    if path is None:
        absent(ABSENT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a URL in a fresh profile: `open_page(url, allowed=r"…", color_scheme="dark")`.

    `allowed` is a pattern of console errors that this test brings about on purpose; the other
    options are Playwright's, for a new context.
    """
    with strict_pages(browser) as open_page:
        yield open_page


@contextmanager
def strict_pages(browser: Browser) -> Iterator[OpenPage]:
    """`open_page`, and at the end its verdict on all that was opened."""
    complaints: list[str] = []
    abroad: set[Request] = set()
    contexts: list[BrowserContext] = []

    def open_page(url: str, *, allowed: str | None = None, **options: object) -> Page:
        host = urlsplit(url).netloc

        def on_console(message: ConsoleMessage) -> None:
            fine = STATUS.search(message.text) or (allowed and re.search(allowed, message.text))
            if message.type == "error" and not fine:
                complaints.append(f"the page logged: {message.text}")

        def on_request(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("data", "blob", "about") and parts.netloc != host:
                abroad.add(request)

        def on_failed_request(request: Request) -> None:
            if request.failure == "csp":  # forbidden by the page's own rules: it was never sent
                abroad.discard(request)

        context = browser.new_context(**options)  # type: ignore[arg-type]  # passed on as they are
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("console", on_console)
        context.on("request", on_request)
        context.on("requestfailed", on_failed_request)
        context.on("weberror", lambda error: complaints.append(f"uncaught: {error.error}"))
        page = context.new_page()
        page.goto(url)
        return page

    try:
        yield open_page
    finally:
        for context in contexts:
            context.close()
    complaints += [f"the page asked another host: {request.url}" for request in abroad]
    assert not complaints, "\n".join(complaints)
