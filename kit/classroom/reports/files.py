"""Write the files of reports atomically."""

from pathlib import Path

from kit import storage
from kit.errors import KitError
from kit.workspace import shown


def write_whole(file: Path, content: bytes) -> None:
    """Replace `file` atomically. Raises KitError when it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.write_whole(file, content, sync=True)
    except OSError as error:
        raise cannot_be_written(file, error) from None


def encoded(content: str) -> bytes:
    """`content` in UTF-8, with a question mark for each character that UTF-8 cannot encode."""
    return content.encode("utf-8", errors="replace")


def cannot_be_written(path: Path, error: OSError) -> KitError:
    """The error to raise when a report cannot be written to `path`."""
    return KitError(
        f"{shown(path)} cannot be written: {error.strerror}",
        "./workshop grade PATH --out ANOTHER-FOLDER",
    )
