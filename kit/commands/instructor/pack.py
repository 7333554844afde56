"""`pack`: a folder with every file that set-up needs, for rooms without a network."""

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kit.errors import KitError
from kit.setup.layers import LAYERS, with_needs
from kit.setup.layers import packages as packages_of
from kit.setup.lock import locked
from kit.setup.packed import PackedFiles
from kit.setup.wheelhouse import (
    BUILDER,
    LOCK,
    PATCHES,
    PLATFORMS,
    PYTHONS,
    Platform,
    fetch,
    requirements,
    this_platform,
)
from kit.workspace import shown

INTERVAL = 25  # packages between two lines of progress, where a line cannot be overwritten


def pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    python: Annotated[
        list[str] | None,
        typer.Option(metavar="VERSION", help="Like 3.12; again for more. Default: this one."),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            metavar="NAME",
            help=f"{', '.join(PLATFORMS)}; again for more. Default: this machine's.",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help=f"{', '.join(LAYERS)}. Default: all of them."),
    ] = None,
) -> None:
    """Fetch the packages for rooms without a network, to set up from with `setup --from DIR`.

    They are the very files of requirements.lock, hashes checked. Called again, it fetches only
    what is missing.

    Example: ./workshop pack /media/usb/wheels --python 3.12 --platform macos-arm64
    """
    pythons = python or [f"{sys.version_info.major}.{sys.version_info.minor}"]
    systems = system or [this_platform()]
    _check("Python", pythons, PYTHONS)
    _check("platform", systems, PLATFORMS)
    packages = packages_of(with_needs(layers.split(",") if layers else LAYERS))
    lock = LOCK.read_text(encoding="utf-8")
    entries = locked(packages | {BUILDER}, lock)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"{shown(folder)} cannot be made: {error.strerror}", "another DIR") from None
    for name in dict.fromkeys(systems):
        for version in dict.fromkeys(pythons):
            _fetch(f"{name}, Python {version}", entries, lock, folder, PLATFORMS[name], version)
    files = [file for file in folder.iterdir() if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{shown(folder)} holds {len(files)} files, {size:.0f} MB.")
    print("On the other machine, in a copy of this kit and with that folder at hand:")
    which = f"--layers {layers}" if layers else "--all"
    print(f"  ./workshop setup {which} --from {shown(folder)}")
    print("  ./workshop doctor")


def _check(what: str, names: Sequence[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise KitError(
                f"there is no {what} {name!r} here; there is {', '.join(known)}",
                "./workshop pack --help",
            )


def _fetch(
    what: str, entries: Sequence[str], lock: str, folder: Path, platform: Platform, python: str
) -> None:
    """Fetch what is missing for one kind of machine, and show how far it is."""
    terminal = sys.stderr.isatty()
    began = time.monotonic()
    fetched = 0
    for patch in PATCHES:
        wanted = requirements(entries, platform.markers(python, patch))
        # pip would ask the index for each file that is here, one after the other.
        missing = PackedFiles(folder, lock).missing(wanted, platform, python)

        def show(count: int, name: str, total: int = len(missing)) -> None:
            if terminal:
                progress = f"{what}: {count} of {total}, {name}"
                print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
            elif count % INTERVAL == 1:
                print(f"{what}: {count} of {total}", file=sys.stderr)

        try:
            if missing:
                fetch(missing, folder, platform.tags, f"{python}.{patch}", show)
        finally:
            if terminal:
                print("\r\033[K", end="", file=sys.stderr)
        fetched += len(missing)
    print(f"{what}: {fetched} packages in {time.monotonic() - began:.0f} s", file=sys.stderr)
