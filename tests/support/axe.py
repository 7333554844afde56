"""axe-core, which looks for what keeps people from using a page. Fetched by npm, kept aside."""

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
from tests.support.requirements import absent

VERSION = "4.14.1"
KEPT = ROOT / ".workshop" / "npm" / f"axe-core-{VERSION}.min.js"
GRAVE = ("serious", "critical")


@functools.cache
def source() -> str:
    """The script. Leaves the test out, in words, where it is not to be had."""
    if not KEPT.is_file():
        npm = shutil.which("npm")
        if npm is None:
            absent("no npm, to fetch axe-core with. On Debian: apt-get install -y npm")
        with tempfile.TemporaryDirectory() as folder:
            KEPT.parent.mkdir(parents=True, exist_ok=True)
            write_whole(KEPT, _fetched(npm, Path(folder)))
    return KEPT.read_text(encoding="utf-8")


def findings(page: Page) -> list[str]:
    """What is serious or worse on the page, one line each: rule, place, and why."""
    page.evaluate(source())
    told: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {_why(node)}"
        for violation in told["violations"]
        for node in violation["nodes"]
        if (node.get("impact") or violation["impact"]) in GRAVE
    ]


def _why(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("failureSummary", "")).split())[:300]


def _fetched(npm: str, folder: Path) -> bytes:
    argv = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        absent(f"npm cannot fetch axe-core {VERSION}: {done.stderr.strip()[-300:]}")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read()
