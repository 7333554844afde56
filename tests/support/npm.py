"""Files out of packages of npm, which fetches each package once."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from kit.storage import write_whole
from kit.workspace import ROOT
from tests.support.requirements import skip_or_fail

CACHE = ROOT / ".workshop" / "npm"


def file_of_package(package: str, version: str, member: str) -> Path:
    """A file of a package, in the cache. Skips the test where npm cannot fetch it."""
    cached = CACHE / package.replace("/", "-") / version / Path(member).name
    if not cached.is_file():
        npm = shutil.which("npm")
        if npm is None:
            skip_or_fail(f"no npm, to fetch {package} with. On Debian: apt-get install -y npm")
        with tempfile.TemporaryDirectory() as folder:
            content = _fetch(npm, f"{package}@{version}", member, Path(folder))
            cached.parent.mkdir(parents=True, exist_ok=True)
            write_whole(cached, content)
    return cached


def _fetch(npm: str, wanted: str, member: str, folder: Path) -> bytes:
    argv = [npm, "pack", wanted, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        skip_or_fail(f"npm cannot fetch {wanted}: {done.stderr.strip()[-300:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        content = archive.extractfile(f"package/{member}")
        assert content
        return content.read()
