"""The files that a notebook leaves in OUTPUT_DIR."""

import os
import stat
from pathlib import Path

from pydantic import BaseModel, Field

AT_MOST = 200  # files that are listed; more can be there


class File(BaseModel):
    """A file that the run left."""

    name: str = Field(description="Path below OUTPUT_DIR", examples=["report.csv"])
    size: int = Field(description="Bytes", examples=[1024])


def listed(folder: Path) -> list[File]:
    """The files there, by name. No links: they could lead anywhere."""
    found: list[File] = []
    if folder.is_symlink():
        return found
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            try:
                state = path.lstat()
                str(path).encode()
            except (OSError, UnicodeError):
                continue
            if stat.S_ISREG(state.st_mode):
                found.append(File(name=path.relative_to(folder).as_posix(), size=state.st_size))
            if len(found) == AT_MOST:
                return found
    return found
