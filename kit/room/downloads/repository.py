"""The kit as attendees fetch it: a repository that any web server can serve, and an archive."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.workspace import ROOT

BRANCH = "main"
FOREIGN = ("https://", "http://", "ssh://", "git://", "git@")


@dataclass(frozen=True)
class KitFiles:
    """`repository` and `archive` hold `commit`. `origin`: where the kit came from; may be empty.

    `dirty`: the kit has changes that are in no commit, so attendees do not get them.
    """

    repository: Path
    archive: Path
    commit: str
    origin: str
    dirty: bool


def kit_files(folder: Path) -> KitFiles | None:
    """Make both in a folder, or bring them up to date. None where the kit is no git repository."""
    commit = _git(ROOT, "rev-parse", "--verify", "HEAD")
    if commit is None or _git(ROOT, "rev-parse", "--show-toplevel") != str(ROOT):
        return None
    repository, archive = folder / "kit.git", folder / "kit.tar.gz"
    # Without a template, there are no hooks. The file `config` names no path of this machine.
    steps = (
        (folder, "init", "--quiet", "--bare", "--template=", str(repository)),
        (repository, "fetch", "--quiet", "--force", str(ROOT), f"HEAD:refs/heads/{BRANCH}"),
        (repository, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}"),
        (repository, "repack", "-a", "-d", "--quiet"),
        (repository, "update-server-info"),
        (ROOT, "archive", "--format=tar.gz", "--output", str(archive), commit),
    )
    if any(_git(where, *words) is None for where, *words in steps):
        return None
    return KitFiles(
        repository, archive, commit, _origin(), bool(_git(ROOT, "status", "-s", "-uno"))
    )


def _origin() -> str:
    """Where a `git pull` reaches the kit after the day. An address with a password is not told."""
    url = _git(ROOT, "remote", "get-url", "origin") or ""
    secret = url.startswith("http") and "@" in url
    return url if url.startswith(FOREIGN) and not secret else ""


def _git(where: Path, *words: str) -> str | None:
    """What git prints; None when it fails, or is not there."""
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=where,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
