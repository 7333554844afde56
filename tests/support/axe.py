"""axe-core, which checks the accessibility of a page. npm fetches it once, into a cache."""

import functools
from typing import Any

from playwright.sync_api import Page

from tests.support.npm import file_of_package

VERSION = "4.14.1"
IMPACTS = ("serious", "critical")


@functools.cache
def script() -> str:
    """The text of axe-core. Skips the test where npm cannot fetch it."""
    return file_of_package("axe-core", VERSION, "axe.min.js").read_text(encoding="utf-8")


def findings(page: Page) -> list[str]:
    """The serious and critical violations on the page. Each line has rule, element and summary."""
    page.evaluate(script())
    results: dict[str, Any] = page.evaluate(
        "() => axe.run(document, {resultTypes: ['violations']})"
    )
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {_summary(node)}"
        for violation in results["violations"]
        for node in violation["nodes"]
        if (node.get("impact") or violation["impact"]) in IMPACTS
    ]


def _summary(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("failureSummary", "")).split())[:300]
