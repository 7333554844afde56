"""Delete the folders of a run, whatever its cells have made of them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path


def delete(folder: Path) -> bool:
    """Delete a folder with all that is in it. Says whether it is gone.

    A folder in it may be read-only, such as a copy of one that was. Then nothing in it can be
    deleted before that is changed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        _unlock(folder)
        shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _unlock(folder: Path) -> None:
    """Make it and the folders in it writable. Links lead elsewhere: they are not followed."""
    with suppress(OSError):  # it is gone by now, or belongs to another user
        if folder.is_symlink():
            folder.unlink()
        else:
            folder.chmod(0o700)
    for place, inner, _ in os.walk(folder):  # it looks into the inner ones after this
        for path in (Path(place, name) for name in inner):
            with suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
