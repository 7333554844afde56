"""Removing what a submission has left, which may not want to be removed."""

import shutil
import subprocess
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder and what is in it: locked folders, and those that are very deep, too."""
    if folder.is_symlink():
        folder.unlink()
        return
    # Python's own way takes a level of recursion for each level of folders.
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], stderr=subprocess.DEVNULL, check=False)


def empty(folder: Path) -> None:
    """Remove what is in a folder. It is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.iterdir():
        if path.is_dir():
            remove(path)
        else:
            path.unlink(missing_ok=True)
