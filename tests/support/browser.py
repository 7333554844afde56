"""A real browser for the tests of pages.

A test fails when its page logs an error, throws one, or sends a request to another host.
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

from tests.support.requirements import skip_or_fail

# The first draws no window, and takes a third of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROME_ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
NO_BROWSER = "no Chromium or Chrome on this machine. On Debian: apt-get install -y chromium"
FLAGS = [
    "--no-sandbox",  # needed as root in containers; the tests open only our own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The browser logs each answer of 400 and above as an error. The page handles those itself.
STATUS = re.compile(r"the server responded with a status of \d+")
TIMEOUT = 60_000  # ms; only a test that fails waits so long

OpenPage = Callable[..., Page]


def find_browser() -> str | None:
    """The path of a browser that Playwright can drive."""
    if CHROME_ON_MACOS.is_file():
        return str(CHROME_ON_MACOS)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    path = find_browser()
    if path is None:
        skip_or_fail(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a URL in a fresh profile: `open_page(url, allowed=r"…", color_scheme="dark")`.

    `allowed` is a pattern of console errors that the test causes on purpose. The other options
    are Playwright's, for a new context.
    """
    with strict_pages(browser) as open_page:
        yield open_page


@contextmanager
def strict_pages(browser: Browser) -> Iterator[OpenPage]:
    """The function of the fixture `open_page`. At the end, errors of the opened pages fail."""
    complaints: list[str] = []
    external: set[Request] = set()
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
                external.add(request)

        def on_failed_request(request: Request) -> None:
            if request.failure == "csp":  # forbidden by the page's own policy: not sent
                external.discard(request)

        context = browser.new_context(**options)  # type: ignore[arg-type]  # passed on as they are
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
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
    complaints += [f"the page asked another host: {request.url}" for request in external]
    assert not complaints, "\n".join(complaints)
