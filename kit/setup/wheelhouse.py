"""A wheelhouse: a folder with every file that set-up needs, for rooms without a network."""

import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from kit.errors import KitError
from kit.setup.installer import NO_NETWORK, TAIL, Cause, cause_of, explain
from kit.setup.layers import this_system
from kit.workspace import ROOT

LOCK = ROOT / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Set-up builds what only comes as source, and needs this package to do so, on every machine.
BUILDER = "setuptools"
# Of Python 3.N, the last number: a new one, and the first. What the lock names differs.
PATCHES = (9, 0)
WIDEST = 240  # characters of a line of pip's: it may name every version there ever was
# "Collecting uv==1.2 (from …", or a file that is here already: "Processing …/uv-1.2-py3….whl".
COLLECTS = re.compile(r"(?:Collecting |Processing (?:.*/)?)([A-Za-z][\w.]*(?:-[A-Za-z][\w.]*)*)")


@dataclass(frozen=True)
class Platform:
    """A kind of machine: its tags in names of wheels, and what markers in the lock ask of it."""

    tags: tuple[str, ...]
    sys_platform: str
    system: str
    machine: str

    def markers(self, python: str, patch: int = PATCHES[0]) -> dict[str, str]:
        """What markers ask, of Python 3.N and its last number."""
        return {
            "python_version": python,
            "python_full_version": f"{python}.{patch}",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "sys_platform": self.sys_platform,
            "platform_system": self.system,
            "platform_machine": self.machine,
            "os_name": "posix",
        }


def _linux(machine: str) -> Platform:
    # Newest first: pip takes each tag literally, and Debian 11 and newer have glibc 2.31.
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(31, 4, -1)]
    tags += [f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1")]
    return Platform((*tags, f"linux_{machine}"), "linux", "Linux", machine)


def _macos(machine: str) -> Platform:
    # Of these, pip knows that what runs on an older system runs on a newer one.
    return Platform((f"macosx_14_0_{machine}",), "darwin", "Darwin", machine)


PLATFORMS = {
    "linux-x86_64": _linux("x86_64"),
    "linux-aarch64": _linux("aarch64"),
    "macos-arm64": _macos("arm64"),
    "macos-x86_64": _macos("x86_64"),
}


def this_platform() -> str:
    """The name of this machine's platform."""
    if this_system() in PLATFORMS:
        return this_system()
    raise KitError(
        f"we know no wheels for this machine: {platform.system()} {platform.machine()}",
        f"./workshop pack DIR --platform {next(iter(PLATFORMS))}",
    )


def requirements(lock: Iterable[str], machine: dict[str, str]) -> list[str]:
    """What of these a machine needs, hashes and all. Markers are gone: ours would decide."""
    found = []
    for entry in lock:
        line, *hashes = entry.splitlines()
        requirement = Requirement(line.rstrip("\\ "))
        marker = requirement.marker
        if marker is None or marker.evaluate(machine) or requirement.name == BUILDER:
            found.append("\n".join([f"{requirement.name}{requirement.specifier} \\", *hashes]))
    return found


def fetch(
    wanted: Sequence[str],
    folder: Path,
    tags: Sequence[str],
    full_python: str,
    on_package: Callable[[int, str], None],
) -> None:
    """Have pip download each of `wanted` into `folder`. (uv cannot download alone.)

    `on_package(count, name)` is called for each package. Raises KitError.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(wanted) + "\n")
        file.flush()
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
        # --no-deps: the lock is complete, and otherwise pip refuses sources for other machines.
        pip += ["--no-deps", "--require-hashes", "--no-input", "--progress-bar", "off"]
        pip += ["--python-version", full_python, "--implementation", "cp"]
        for tag in tags:
            pip += ["--platform", tag]
        words = [*pip, "--dest", str(folder), "--requirement", file.name]
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ) as process:
            try:
                assert process.stdout
                tail = _follow(process.stdout, on_package)
            except BaseException:
                process.terminate()
                raise
    if process.returncode:
        raise _explained(process.returncode, "\n".join(tail))


def _follow(lines: Iterable[str], on_package: Callable[[int, str], None]) -> list[str]:
    """Report each package that pip collects; return the last lines of its output."""
    tail: list[str] = []
    count = 0
    for line in lines:
        if not line.startswith("WARNING: "):
            tail = [*tail[1 - TAIL :], line.rstrip()[:WIDEST]]
        if found := COLLECTS.match(line):
            count += 1
            on_package(count, found[1])
    return tail


def _explained(code: int, tail: str) -> KitError:
    """What the last lines of pip mean. There is no wheelhouse to fall back to here."""
    error = explain(f"pip could not fetch the packages (exit code {code})", tail)
    cause = cause_of(tail)
    if cause not in (Cause.NO_NETWORK, Cause.UNKNOWN):
        return error
    # What pip prints after it has tried in vain.
    offline = cause is Cause.NO_NETWORK or "(from versions: none)" in tail
    message = NO_NETWORK if offline else error.message
    return KitError(message, "where there is a network, ./workshop pack again", error.detail)
