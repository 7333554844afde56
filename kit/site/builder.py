"""Pages that are built again when their sources are newer."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from kit.errors import KitError, disk_error
from kit.processes.stack import Stack
from kit.storage import replacing_folder
from kit.workspace import shown, workspace

Build = Callable[[Path], None]
BUILT = "built"  # a file in each folder of pages: when the newest source had been changed
BUILD_TIMEOUT = 3600.0  # seconds
NICENESS = 10  # a build must not slow down the checks that the learner waits for


def build_if_outdated(name: str, sources: Iterable[Path], build: Build) -> Path:
    """The folder .workshop/NAME with what `build` writes; built again when a source is newer.

    Raises KitError when it cannot be written, and what `build` raises.
    """
    folder = workspace().state / name
    newest = max((_changed(source) for source in sources), default=0.0)
    stamp = folder / BUILT
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == str(newest):
        return folder
    try:
        workspace().state.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as pages:
            build(pages)
            (pages / BUILT).write_text(str(newest), encoding="utf-8")
    except (OSError, shutil.Error) as error:
        raise disk_error(f"{shown(folder)} cannot be written", error, workspace().state) from None
    return folder


def run_builder(stack: Stack, what: str, words: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a Python program that builds pages. Raises KitError with its last words."""
    child = stack.start(what, [sys.executable, "-m", *words], env={**stack.env, **env})
    with contextlib.suppress(psutil.Error):
        psutil.Process(child.pid).nice(NICENESS)
    if child.wait(BUILD_TIMEOUT):
        raise KitError(f"the {what} cannot be built", "./workshop setup; git status", child.tail())


def _changed(source: Path) -> float:
    """When a file, or the newest below a folder, was changed; 0 when it is not there."""
    files = source.rglob("*") if source.is_dir() else [source]
    times = (each.stat().st_mtime for each in files if each.is_file() and not _is_cache(each))
    return max(times, default=0.0)


def _is_cache(file: Path) -> bool:
    return any(part == "__pycache__" or part.endswith("_cache") for part in file.parts)
