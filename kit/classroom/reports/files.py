"""Writing the reports: whole or not at all."""

import os
from pathlib import Path

from kit.errors import KitError
from kit.workspace import shown


def write_whole(file: Path, content: bytes) -> None:
    """Put `content` in place of what is there. Raises KitError."""
    new = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise unwritable(file, error) from None


def text(content: str) -> bytes:
    """UTF-8, also of what is no text: half a character becomes a question mark."""
    return content.encode("utf-8", errors="replace")


def unwritable(path: Path, error: OSError) -> KitError:
    """What to say when a report cannot be written there."""
    return KitError(
        f"{shown(path)} cannot be written: {error.strerror}",
        "./workshop grade PATH --out ANOTHER-FOLDER",
    )
