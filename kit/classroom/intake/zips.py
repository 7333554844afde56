"""The entries of a .zip."""

import contextlib
import stat
import zipfile
from collections.abc import Iterator

from kit.classroom.intake.entries import (
    CHUNK_BYTES,
    MAX_ENTRIES,
    Entry,
    EntryFilter,
    Kind,
    Unreadable,
)
from kit.classroom.intake.unpacking import (
    TOO_MANY_ENTRIES,
    BoundedFile,
    parts_of,
    unreadable_on_error,
)

ENCRYPTED = "The archive is encrypted. Ask for one without a password."
OTHER_METHOD = (
    "The archive is packed by a method that not everybody can unpack. Ask for a plain .zip "
    "(method “deflate”) or a .tar.gz."
)

_UTF_8_FLAG = 0x800
_ENCRYPTED_FLAG = 0x1


def zip_entries(file: BoundedFile, is_wanted: EntryFilter) -> Iterator[Entry]:
    """The wanted entries of a .zip, and all that lead out of it. Raises Unreadable."""
    with unreadable_on_error():
        archive = zipfile.ZipFile(file)
    with archive:
        if len(archive.infolist()) > MAX_ENTRIES:
            raise Unreadable(TOO_MANY_ENTRIES)
        for info in archive.infolist():
            name = _decoded_name(info)
            parts = parts_of(name)
            if parts is None:
                yield Entry(name, (), "outside")
            elif is_wanted(parts):
                kind = _kind(info, name)
                content = _content(archive, info) if kind == "file" else ()
                yield Entry(name, parts, kind, content)


def _decoded_name(info: zipfile.ZipInfo) -> str:
    """The name as it was before packing, with / between its parts.

    Some programs write UTF-8 without setting the flag for it. Some write Windows' separators.
    `info.filename` ends at a zero byte; `orig_filename` is the whole name.
    """
    name = info.orig_filename
    if not info.flag_bits & _UTF_8_FLAG:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _kind(info: zipfile.ZipInfo, name: str) -> Kind:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link"
    if name.endswith("/") or stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "special"


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    if info.flag_bits & _ENCRYPTED_FLAG:
        raise Unreadable(ENCRYPTED)
    # With other methods, `zipfile` unpacks a whole block of input at once, whatever its size.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(OTHER_METHOD)
    with unreadable_on_error():
        file = archive.open(info)
    with file:
        while True:
            with unreadable_on_error():
                chunk = file.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk
