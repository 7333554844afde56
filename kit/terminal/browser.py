"""A web browser, opened from a terminal."""

import contextlib
import os
import sys
import webbrowser


def open_browser(address: str) -> None:
    """Show `address` in a browser, when standard output is a terminal."""
    if not sys.stdout.isatty():
        return
    with contextlib.suppress(webbrowser.Error):
        browser = webbrowser.get()
        # A text browser would take over this terminal; only BROWSER may ask for one.
        if os.environ.get("BROWSER") or type(browser) is not webbrowser.GenericBrowser:
            browser.open(address)
