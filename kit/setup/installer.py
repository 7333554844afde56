"""The steps of set-up, each a tool that is run, watched, and explained when it fails."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from types import FrameType

from kit.errors import KitError

TAIL = 12  # lines of a failed tool's output that are shown

# Where pip's settings go in uv, which reads none of pip's.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
}


class Installer:
    """Fills the environment of `python` with what `lock` names.

    `wheelhouse` is a folder to install from instead of the network. `again` distrusts what is
    there already.
    """

    def __init__(
        self, python: Path, lock: Path, wheelhouse: Path | None = None, *, again: bool = False
    ) -> None:
        self.python = python
        self.lock = lock
        self.wheelhouse = wheelhouse
        self.again = again
        self.source = (
            ["--no-index", "--find-links", str(wheelhouse)] if wheelhouse is not None else []
        )

    def install_uv(self) -> None:
        """Install uv, alone, with pip: plain pip would take minutes for the rest."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.write(locked("uv", self.lock.read_text(encoding="utf-8")))
            wanted.flush()
            options = ["--no-deps", "--require-hashes", "--no-input", "--progress-bar", "off"]
            if self.again:
                options.append("--force-reinstall")
            self._run(
                "installing uv",
                [*self._pip(), "install", *options, *self.source, "-r", wanted.name],
                os.environ,
            )

    def install_packages(self) -> None:
        """Make the installed packages exactly those of the lock."""
        again = ["--reinstall"] if self.again else []
        self._uv("installing the packages", "sync", "--require-hashes", *again, str(self.lock))

    def _uv(self, step: str, command: str, *arguments: str) -> None:
        uv = self.python.with_name("uv")
        argv = [str(uv), "pip", command, "--python", str(self.python), *self.source, *arguments]
        self._run(step, argv, uv_env(os.environ, self._pip_settings()))

    def _pip(self) -> list[str]:
        return [str(self.python), "-E", "-m", "pip", "--disable-pip-version-check"]

    def _pip_settings(self) -> dict[str, str]:
        listed = subprocess.run(
            [*self._pip(), "config", "list"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return pip_settings(listed.stdout)

    def _run(self, step: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        run_step(step, argv, env, self.wheelhouse)


def make_venv(folder: Path) -> None:
    """Make an empty virtual environment, whatever was there before."""
    argv = [sys.executable, "-E", "-m", "venv", "--clear", str(folder)]
    run_step("making .venv", argv, os.environ)


def link(venv: Path, root: Path) -> None:
    """Let the Python of `venv` import the kit from any folder.

    The path is relative: Python reads this file in the encoding of the locale, and the path from
    here to the kit is ASCII also where the name of the kit's folder is not.
    """
    for packages in venv.glob("lib/python3*/site-packages"):
        (packages / "workshop.pth").write_text(f"{os.path.relpath(root, packages)}\n", "ascii")


def is_healthy(python: Path) -> bool:
    """Whether `python` is there, starts, and has a pip."""
    try:
        done = subprocess.run(
            [python, "-E", "-m", "pip", "--version"], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def locked(name: str, lock: str) -> str:
    """The entry for one package in the text of a lock: version and hashes.

    Raises KitError when there is none.
    """

    def entry() -> Iterator[str]:
        inside = False
        for line in lock.splitlines():
            inside = line.startswith(f"{name}==") or (inside and line.startswith("    --hash"))
            if inside:
                yield line

    text = "\n".join(entry())
    if not text:
        raise KitError(f"requirements.lock does not name {name}", "git checkout requirements.lock")
    return text + "\n"


def pip_settings(listed: str) -> dict[str, str]:
    """The settings in the output of `pip config list`: environment over files, as pip has it."""
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        words = shlex.split(value)
        found[key.rpartition(".")[2]] = words[0] if words else ""
    return found


def uv_env(env: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """`env` with pip's settings added in uv's words; uv's own win."""
    result = dict(env)
    # With VIRTUAL_ENV set, uv prints a long warning, although `--python` names the environment.
    result.pop("VIRTUAL_ENV", None)
    for setting, variable in PIP_TO_UV.items():
        value = " ".join(pip.get(setting, "").split())
        if variable == "UV_FIND_LINKS":
            value = value.replace(" ", ",")
        if value and variable not in env:
            result[variable] = value
    # Look in all indexes, as pip does. Safe, as the lock has a hash for every file.
    result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return result


def run_step(
    step: str, argv: Sequence[str], env: Mapping[str, str], wheelhouse: Path | None = None
) -> None:
    """Run one tool and say how long it took. Raises KitError, which ends in the tool's words."""
    print(f"  {step} … ", end="", file=sys.stderr, flush=True)
    began = time.monotonic()
    # SIGINT too: a shell starts background programs with SIGINT ignored, and Python leaves it so.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, _interrupt) for number in numbers]
    try:
        with subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                output, _ = process.communicate()
            except BaseException:
                process.terminate()
                raise
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if process.returncode == 0:
        print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)
        return
    print("failed", file=sys.stderr)
    raise explain(f"{step} failed (exit code {process.returncode})", output, wheelhouse)


class Cause(Enum):
    """Why a tool failed, as its output tells."""

    DISK_FULL = auto()
    NO_VENV = auto()
    OTHER_WHEELHOUSE = auto()
    NO_NETWORK = auto()
    UNKNOWN = auto()


def cause_of(output: str, *, wheelhouse: bool = False) -> Cause:
    """What a failed tool's output means. `wheelhouse`: it installed from a folder."""
    low = output.lower()
    for cause, words in SYMPTOMS.items():
        if cause is Cause.OTHER_WHEELHOUSE and not wheelhouse:
            continue
        if any(word in low for word in words):
            return cause
    return Cause.UNKNOWN


def explain(otherwise: str, output: str, wheelhouse: Path | None = None) -> KitError:
    """What a failed tool's output means, in a sentence; `otherwise` when we cannot tell."""
    tail = "\n".join(output.splitlines()[-TAIL:])
    cause = cause_of(output, wheelhouse=wheelhouse is not None)
    message, fix = EXPLANATIONS.get(cause, (otherwise, ANEW))
    return KitError(message.replace("{wheelhouse}", str(wheelhouse)), fix, tail)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# Looked for in this order, in lower case.
SYMPTOMS = {
    Cause.DISK_FULL: ("no space left", "os error 28", "errno 28", "disk quota exceeded"),
    Cause.NO_VENV: ("ensurepip is not", "no module named ensurepip", "no module named venv"),
    Cause.OTHER_WHEELHOUSE: (
        "no matching distribution",
        "not found in the provided package locations",
        "no version of",
        "no solution found",
        "hash mismatch",
        "do not match the hashes",
    ),
    Cause.NO_NETWORK: (
        "failed to establish a new connection",
        "name resolution",
        "name or service not known",
        "nodename nor servname",
        "dns error",
        "network is unreachable",
        "connection refused",
        "error sending request",
        "failed to fetch",
        "timed out",
        "cannot connect to proxy",
        "unable to connect to proxy",
    ),
}
ANEW = "rm -r .venv && ./workshop setup, in the folder of the kit"
NO_NETWORK = "the packages cannot be fetched: there is no network, or something blocks it"
EXPLANATIONS = {
    Cause.DISK_FULL: ("the disk is full", "free 2 GB, then ./workshop setup"),
    Cause.NO_VENV: (
        "this Python comes without venv (Debian and Ubuntu split it off)",
        "sudo apt install python3-venv",
    ),
    Cause.OTHER_WHEELHOUSE: (
        "{wheelhouse} does not hold what requirements.lock names: they do not belong together",
        "./workshop setup (with a network), or fetch the wheelhouse of this version of the kit",
    ),
    Cause.NO_NETWORK: (
        NO_NETWORK,
        "./workshop setup --from DIR, with a folder that `./workshop pack` has made elsewhere",
    ),
}
