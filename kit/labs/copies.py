"""The learner's copies of the labs, in work/labs."""

from pathlib import Path

from kit.errors import KitError, disk_error
from kit.storage import timestamp, write_whole
from kit.workspace import NOTEBOOKS, shown, workspace

LABS = NOTEBOOKS / "labs"


def copies() -> Path:
    """The folder of the learner's copies."""
    return workspace().work / "labs"


def find_lab(name: str) -> str:
    """The lab that `name` means. Raises KitError."""
    there = names()
    wanted = name.removesuffix(".ipynb").replace("-", "_")
    if wanted not in there:
        raise KitError(
            f"there is no lab {name!r}; there is {', '.join(there)}", f"./workshop lab {there[0]}"
        )
    return wanted


def names() -> list[str]:
    """All labs, by name."""
    return sorted(lab.stem for lab in LABS.glob("*.ipynb"))


def copy_labs(chosen: str | None = None, *, fresh: bool = False) -> Path | None:
    """Copy those labs to work/labs that are not there. Returns where old copies are kept, if any.

    `fresh`: also those that are there, or only the `chosen` one of them.
    """
    kept = None
    try:
        copies().mkdir(parents=True, exist_ok=True)
        for name in names():
            ours, theirs = LABS / f"{name}.ipynb", copies() / f"{name}.ipynb"
            if fresh and chosen in (None, name) and theirs.exists():
                kept = kept or _place_aside()
                theirs.rename(kept / theirs.name)
            if not theirs.exists():
                write_whole(theirs, ours.read_bytes())
    except OSError as error:
        what = f"the labs cannot be copied to {shown(copies())}"
        raise disk_error(what, error, workspace().work) from None
    return kept


def _place_aside() -> Path:
    folder = workspace().work / ".kept" / f"labs-{timestamp()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
