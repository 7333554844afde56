"""Writing the reports: whole or not at all."""

from pathlib import Path

from kit import storage
from kit.errors import KitError
from kit.workspace import shown


def write_whole(file: Path, content: bytes) -> None:
    """Put `content` in place of what is there. Raises KitError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.write_whole(file, content, sync=True)
    except OSError as error:
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
