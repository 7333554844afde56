"""Fetches the kit from a room, sets it up with the room's packages, and starts it.

The room sends this file to those who type its line. It needs Python's standard library only, and
has to parse on old Pythons. The room writes its own address in place of the one below.
"""
# ruff: noqa: UP031 - see above

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

ROOM = "http://127.0.0.1:8003"
FOLDER = Path("notebook-runner-workshop")
OLDEST, NEWEST = 11, 14  # of Python 3
TIMEOUT = 60  # seconds


def main() -> None:
    """All of it."""
    try:
        told = json.loads(get("/kit.json").decode("utf-8"))
        fetch_kit(told)
    except (OSError, ValueError, tarfile.TarError) as error:
        stop("the room %s does not give the kit: %s" % (ROOM, error), "the same line again")
    python, packed = chosen_python(told)
    source = ["--from", ROOM + "/simple/"] if packed else []
    if not run([python, "workshop", "setup", *source], FOLDER):
        stop("set-up has failed", "the same line again")
    if packed:
        say("What later exercises need comes from the room, too, when it is needed.")
        say("All of it now, to go on without a network: ./workshop setup --all " + " ".join(source))
    if not sys.stdin.isatty():
        say("The kit is ready: cd %s && ./workshop" % FOLDER)
        return
    say("Handbook and slides, in a browser: " + ROOM)
    join_board(python)
    os.chdir(FOLDER)
    os.execv(python, [python, "workshop"])


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def stop(text: str, *fixes: str) -> NoReturn:
    """Say what is wrong and what can be done, and end."""
    say("workshop: " + text)
    for fix in fixes:
        say("Try: " + fix)
    sys.exit(2)


def get(path: str) -> bytes:
    """The bytes at a path of the room. No proxy knows an address of this network."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data: bytes = opener.open(ROOM + path, timeout=TIMEOUT).read()
    return data


def run(words: list[str], where: Path | None = None) -> bool:
    """Whether a program has done its work."""
    host = ROOM.split("//")[1].split(":")[0]
    env = dict(os.environ)
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), host]))
    try:
        return subprocess.call(words, cwd=where, env=env) == 0
    except OSError:
        return False


def fetch_kit(told: dict[str, Any]) -> None:
    """The kit in its folder: as a repository that can be pulled later, or as files."""
    if (FOLDER / "workshop").exists():
        say("The kit is in %s already." % FOLDER)
        if (FOLDER / ".git").is_dir():
            run(["git", "pull", "--quiet", "--ff-only", "room", told["branch"]], FOLDER)
        return
    if FOLDER.exists():
        stop("there is something else in %s" % FOLDER, "another folder, and there the same line")
    say("Fetching the kit into %s" % FOLDER)
    repository = ROOM + "/kit.git"
    # git keeps the setting: neither this nor a later `git pull room` goes through a proxy.
    direct = ["-c", "remote.room.proxy="]
    if run(["git", "clone", "--quiet", "--origin", "room", *direct, repository, str(FOLDER)]):
        if told["origin"]:
            run(["git", "remote", "add", "origin", told["origin"]], FOLDER)
        return
    say("Without git, as files")
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(get("/kit.tar.gz"))) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(FOLDER, filter="data")
        else:
            archive.extractall(FOLDER)


def chosen_python(told: dict[str, Any]) -> tuple[str, bool]:
    """A Python that the kit runs on, and whether the room has the packages for it."""
    found = pythons()
    if not found:
        stop(
            "this is Python %d.%d, and the workshop needs 3.11 to 3.14" % sys.version_info[:2],
            "install a newer Python, and then the same line again",
        )
    mine = next(iter(found.values()))
    if not told["packages"]:
        say("The room has no packages: they come from the network.")
        return mine, False
    for version, path in found.items():
        if told["missing"].get("%s %s" % (machine(), version)) == []:
            return path, True
    whole = [name for name, missing in sorted(told["missing"].items()) if not missing]
    say("The room has packages for: %s" % (", ".join(whole) or "no machine, as some are missing"))
    versions = " or ".join(found)
    fixes = ["with a network of your own: cd %s && %s workshop setup" % (FOLDER, mine)]
    version = next(iter(found))
    if "%s %s" % (machine(), version) in told["missing"]:  # `pack` knows this kind of machine
        words = (machine(), version)
        fixes.append(
            "or the instructor types: ./workshop pack DIR --platform %s --python %s" % words
        )
    stop(
        "the room has no packages for this machine, %s with Python %s" % (machine(), versions),
        *fixes,
    )


def machine() -> str:
    """This machine, in the words of `./workshop pack`."""
    system = {"Linux": "linux", "Darwin": "macos"}.get(platform.system(), platform.system())
    return "%s-%s" % (system, platform.machine())


def pythons() -> dict[str, str]:
    """The Pythons of this machine that the kit runs on, by version: this one first."""
    found: dict[str, str] = {}
    if OLDEST <= sys.version_info[1] <= NEWEST:
        found["%d.%d" % sys.version_info[:2]] = sys.executable
    for minor in range(NEWEST, OLDEST - 1, -1):
        path = shutil.which("python3.%d" % minor)
        if path:
            found.setdefault("3.%d" % minor, path)
    return found


def join_board(python: str) -> None:
    """Ask for a name. Without one, nothing is sent."""
    say("The instructor's board can show how far you are. What it is told, you read first.")
    name = input("A name for the board, or only Enter for none: ").strip()
    if name:
        run([python, "workshop", "join", ROOM, "--as", name], FOLDER)


if __name__ == "__main__":
    main()
