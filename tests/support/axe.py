"""axe-core, which checks the accessibility of a page. npm fetches it once, into a cache."""

import functools
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from kit.storage import write_whole
from kit.workspace import ROOT
from tests.support.requirements import skip_or_fail

VERSION = "4.14.1"
CACHED = ROOT / ".workshop" / "npm" / f"axe-core-{VERSION}.min.js"
IMPACTS = ("serious", "critical")


@functools.cache
def script() -> str:
    """The text of axe-core. Skips the test where npm cannot fetch it."""
    if not CACHED.is_file():
        npm = shutil.which("npm")
        if npm is None:
            skip_or_fail("no npm, to fetch axe-core with. On Debian: apt-get install -y npm")
        with tempfile.TemporaryDirectory() as folder:
            CACHED.parent.mkdir(parents=True, exist_ok=True)
            write_whole(CACHED, _fetch(npm, Path(folder)))
    return CACHED.read_text(encoding="utf-8")


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


def _fetch(npm: str, folder: Path) -> bytes:
    argv = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        skip_or_fail(f"npm cannot fetch axe-core {VERSION}: {done.stderr.strip()[-300:]}")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read()
