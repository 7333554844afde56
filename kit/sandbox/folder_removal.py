"""Removing the files of a submission, even those that are hard to remove."""

import shutil
import subprocess
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder and its content, including locked and very deep folders."""
    if folder.is_symlink():
        folder.unlink()
        return
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):  # rmtree recurses once for each level of folders
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
