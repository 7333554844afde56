"""The steps of set-up, each a tool that is run, watched, and explained when it fails."""

import contextlib
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from types import FrameType
from typing import Self

from kit.errors import KitError
from kit.setup.layers import this_system
from kit.setup.lock import name_of
from kit.setup.source import Source

TAIL = 12  # lines of a failed tool's output that are shown

# Linux reads 127 bytes of the first line of a script, and `/.venv/bin/python3.11` is at their end.
PLAIN = re.compile(rb"[\w./+-]{1,100}")

# Where pip's settings go in uv, which reads none of pip's.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
}


class Installer:
    """Fills the environment of `python` with `entries`, which are requirements of the lock.

    `source` is what to install from instead of the network. `again` distrusts what is there
    already.
    """

    def __init__(
        self,
        python: Path,
        entries: Sequence[str],
        source: Source | None = None,
        *,
        again: bool = False,
    ) -> None:
        self.python = python
        self.entries = entries
        self.source = source
        self.again = again
        self.env = source.env(os.environ) if source else dict(os.environ)

    def install_uv(self) -> None:
        """Install uv, alone, with pip: plain pip would take minutes for the rest."""
        with _listed(entry for entry in self.entries if name_of(entry) == "uv") as wanted:
            options = ["--no-deps", "--require-hashes", "--no-input", "--progress-bar", "off"]
            if self.again:
                options.append("--force-reinstall")
            options += self.source.for_pip if self.source else []
            argv = [*self._pip(), "install", *options, "-r", wanted]
            run_step("installing uv", argv, self.env, self.source)

    def install_packages(self) -> None:
        """Make the installed packages exactly these."""
        self._uv("sync")

    def add_packages(self) -> None:
        """Install these packages, beside those that are there."""
        self._uv("install", "--no-deps")

    def _uv(self, command: str, *options: str) -> None:
        again = ["--reinstall"] if self.again else []
        source = self.source.for_uv if self.source else []
        with _listed(self.entries) as wanted:
            argv = [str(self.python.with_name("uv")), "pip", command]
            argv += ["--python", str(self.python), "--require-hashes", *options, *again, *source]
            # `sync` takes the file as it is, and `install` as an option.
            argv += [wanted] if command == "sync" else ["--requirement", wanted]
            env = uv_env(self.env, self._pip_settings())
            # In a folder of the kit, uv would heed the constraints in pyproject.toml, which are for
            # `make lock`.
            place = Path(self.python.anchor)
            run_step("installing the packages", argv, env, self.source, place)

    def _pip(self) -> list[str]:
        return [str(self.python), "-E", "-m", "pip", "--disable-pip-version-check"]

    def _pip_settings(self) -> dict[str, str]:
        listed = subprocess.run(
            [*self._pip(), "config", "list"],
            env=self.env,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return pip_settings(listed.stdout)


@contextlib.contextmanager
def _listed(entries: Iterable[str]) -> Iterator[str]:
    """The name of a file with requirements in it."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(entries) + "\n")
        file.flush()
        yield file.name


def make_venv(folder: Path) -> None:
    """Make an empty virtual environment, whatever was there before."""
    argv = [sys.executable, "-E", "-m", "venv", "--clear", str(folder)]
    # It starts ensurepip, which heeds PYTHONUTF8=0 and then cannot read the name of the folder.
    run_step("making .venv", argv, {**os.environ, "PYTHONUTF8": "1"})


def relocate(venv: Path, old: bytes, new: bytes) -> bool:
    """Have the programs of an environment that was moved name the Python that is there now.

    False where that cannot be done: for a path that cannot be in the first line of a script as it
    is, such as one with a space.
    """
    if not all(PLAIN.fullmatch(place) for place in (old, new)):
        return False
    for file in (venv / "pyvenv.cfg", *venv.glob("bin/*")):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if old in content and b"\0" not in content:  # no program in machine code
                file.write_bytes(content.replace(old + b"/", new + b"/"))
    return True


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
    step: str,
    argv: Sequence[str],
    env: Mapping[str, str],
    source: Source | None = None,
    cwd: Path | None = None,
) -> None:
    """Run one tool and say how long it took. Raises KitError, which ends in the tool's words."""
    began = time.monotonic()
    # SIGINT too: a shell starts background programs with SIGINT ignored, and Python leaves it so.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, _interrupt) for number in numbers]
    try:
        with (
            Bar(step) as bar,
            subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            lines = []
            try:
                assert process.stdout
                for line in process.stdout:
                    lines.append(line)
                    bar.read(line)
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
    raise explain(f"{step} failed (exit code {process.returncode})", "".join(lines), source)


class Bar:
    """What is shown of a step: its name, and at a terminal how far it is, and the seconds.

    uv says `Downloading pandas (11.8MiB)`, and later `Downloaded pandas`. pip says the first, in
    its own way. Of small files, and within a file, both are silent: so the seconds show that the
    step goes on.
    """

    LINE = re.compile(r" *(Downloading|Downloaded) (\S+)(?: \(([\d.]+)(MiB| MB)\))?")
    WIDTH = 20  # characters
    INTERVAL = 1.0  # seconds

    def __init__(self, step: str) -> None:
        self.step = step
        self.sizes: dict[str, float] = {}
        self.done = 0.0
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="bar", daemon=True)

    def __enter__(self) -> Self:
        print(f"  {self.step} … ", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
            print(f"\r\033[K  {self.step} … {self._downloaded()}", end="", file=sys.stderr)

    def read(self, line: str) -> None:
        """Take a line of the tool's."""
        if found := self.LINE.match(line):
            what, name, size, unit = found.groups()
            if what == "Downloading":
                self.sizes[name] = float(size or 0) * (1.048576 if unit == "MiB" else 1)
            else:
                self.done += self.sizes.get(name, 0)

    def text(self) -> str:
        """How far the step is."""
        return f"  {self.step} … {self._downloaded()}{time.monotonic() - self._began:.0f} s"

    def _downloaded(self) -> str:
        total = sum(self.sizes.values())
        if not total:
            return ""
        bar = ("#" * round(self.done / total * self.WIDTH)).ljust(self.WIDTH, ".")
        return f"[{bar}] {self.done:.0f} of {total:.0f} MB "

    def _go_on(self) -> None:
        while not self._ended.wait(self.INTERVAL):
            print(f"\r\033[K{self.text()}", end="", file=sys.stderr, flush=True)


class Cause(Enum):
    """Why a tool failed, as its output tells."""

    DISK_FULL = auto()
    NO_VENV = auto()
    NO_CACHE = auto()
    OTHER_WHEELHOUSE = auto()
    NO_NETWORK = auto()
    INDEX_GONE = auto()
    OTHER_FILE = auto()
    NOT_PACKED = auto()
    UNKNOWN = auto()


def cause_of(output: str, source: Source | None = None) -> Cause:
    """What a failed tool's output means. `source`: what it installed from."""
    low = output.lower()
    for cause in CAUSES[None if source is None else source.is_index]:
        if any(word in low for word in SYMPTOMS[cause]):
            return cause
    return Cause.UNKNOWN


def explain(otherwise: str, output: str, source: Source | None = None) -> KitError:
    """What a failed tool's output means, in a sentence; `otherwise` when we cannot tell."""
    tail = "\n".join(output.splitlines()[-TAIL:])
    message, fix = EXPLANATIONS.get(cause_of(output, source), (otherwise, ANEW))
    package = PINNED.search(output)
    facts = {
        "{source}": source.shown if source else "",
        "{package}": package[1] if package else "a package",
        "{python}": ".".join(platform.python_version_tuple()[:2]),
        "{system}": this_system(),
    }
    for name, value in facts.items():
        message, fix = message.replace(name, value), fix.replace(name, value)
    return KitError(message, fix, tail)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


# The first package that pip or uv names with its version is the one that it failed with.
# (uv may put a marker between the two: `async-timeout{python_full_version < '3.11.3'}==5.0.1`.)
PINNED = re.compile(r"\b([A-Za-z][\w.-]*)(?:\{[^}]*\})?==")
_HASHES = ("hash mismatch", "do not match the hashes")
_NOT_THERE = (
    *("no matching distribution", "not found in the provided package locations"),
    *("no version of", "no solution found"),
)
_NO_NETWORK = (
    *("failed to establish a new connection", "name resolution", "name or service not known"),
    *("nodename nor servname", "dns error", "network is unreachable", "connection refused"),
    *("error sending request", "failed to fetch", "timed out"),
    *("cannot connect to proxy", "unable to connect to proxy"),
)
# In lower case.
SYMPTOMS = {
    Cause.DISK_FULL: ("no space left", "os error 28", "errno 28", "disk quota exceeded"),
    Cause.NO_CACHE: ("failed to initialize cache",),
    Cause.NO_VENV: ("ensurepip is not", "no module named ensurepip", "no module named venv"),
    Cause.OTHER_WHEELHOUSE: (*_NOT_THERE, *_HASHES),
    Cause.NO_NETWORK: _NO_NETWORK,
    Cause.INDEX_GONE: (
        *_NO_NETWORK,
        *("connection reset", "connection broken", "connection aborted"),
        *("incompleteread", "error decoding response body"),
    ),
    # uv unpacks while it downloads, and finds a file cut short or too long before its hash.
    Cause.OTHER_FILE: (*_HASHES, "failed to extract archive"),
    Cause.NOT_PACKED: _NOT_THERE,
}
# Which are looked for, in this order: from where the tools look by themselves, a folder, an index.
CAUSES: dict[bool | None, tuple[Cause, ...]] = {
    None: (Cause.DISK_FULL, Cause.NO_CACHE, Cause.NO_VENV, Cause.NO_NETWORK),
    False: (
        *(Cause.DISK_FULL, Cause.NO_CACHE, Cause.NO_VENV),
        *(Cause.OTHER_WHEELHOUSE, Cause.NO_NETWORK),
    ),
    # pip tries in vain, says so, and then says that there is no such file.
    True: (
        *(Cause.DISK_FULL, Cause.NO_CACHE, Cause.NO_VENV, Cause.INDEX_GONE),
        *(Cause.OTHER_FILE, Cause.NOT_PACKED),
    ),
}
ANEW = "rm -r .venv && ./workshop setup, in the folder of the kit"
NO_NETWORK = "the packages cannot be fetched: there is no network, or something blocks it"
EXPLANATIONS = {
    Cause.DISK_FULL: ("the disk is full", "free 2 GB, then ./workshop setup"),
    Cause.NO_CACHE: (
        "uv cannot write its cache, which is in HOME or in UV_CACHE_DIR",
        "UV_NO_CACHE=1 ./workshop setup",
    ),
    Cause.NO_VENV: (
        "this Python comes without venv (Debian and Ubuntu split it off)",
        "sudo apt install python3-venv",
    ),
    Cause.OTHER_WHEELHOUSE: (
        "{source} does not hold what requirements.lock names: they do not belong together",
        "./workshop setup (with a network), or fetch the wheelhouse of this version of the kit",
    ),
    Cause.NO_NETWORK: (
        NO_NETWORK,
        "./workshop setup --from DIR, with a folder that `./workshop pack` has made elsewhere",
    ),
    Cause.INDEX_GONE: (
        "{source} gives no packages: nothing answers there, or it breaks off",
        "./workshop setup --from {source}, once it is there again; or ./workshop setup",
    ),
    Cause.OTHER_FILE: (
        "the file of {package} at {source} is not the one that requirements.lock names: "
        "its hash differs",
        "./workshop setup (with a network), and tell whoever serves it",
    ),
    Cause.NOT_PACKED: (
        "{source} has no file of {package} for this machine: {system}, Python {python}",
        "./workshop pack DIR --platform {system} --python {python}, where the packages come from; "
        "or ./workshop setup (with a network)",
    ),
}
