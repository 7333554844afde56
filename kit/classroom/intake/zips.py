"""What is in somebody's .zip, piece by piece."""

import contextlib
import stat
import zipfile
from collections.abc import Iterator

from kit.classroom.intake.entries import CHUNK, ENTRIES, Entry, Kind, Unreadable, Want
from kit.classroom.intake.unpacking import TOO_MANY, Bounded, parsing, way

ENCRYPTED = "The archive is encrypted. Ask for one without a password."
OTHER_METHOD = (
    "The archive is packed by a method that not everybody can unpack. Ask for a plain .zip "
    "(method “deflate”) or a .tar.gz."
)

_UTF_8 = 0x800
_ENCRYPTED = 0x1


def in_zip(file: Bounded, want: Want) -> Iterator[Entry]:
    with parsing():
        archive = zipfile.ZipFile(file)
    with archive:
        if len(archive.infolist()) > ENTRIES:
            raise Unreadable(TOO_MANY)
        for info in archive.infolist():
            name = _zip_name(info)
            parts = way(name)
            if parts is None:
                yield Entry(name, (), "outside")
            elif want(parts):
                kind = _zip_kind(info, name)
                content = _unzipped(archive, info) if kind == "file" else ()
                yield Entry(name, parts, kind, content)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The whole name. Some packers write UTF-8 and do not say so, some Windows' separators."""
    name = info.orig_filename
    if not info.flag_bits & _UTF_8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _zip_kind(info: zipfile.ZipInfo, name: str) -> Kind:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return "link"
    if name.endswith("/") or stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "special"


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    if info.flag_bits & _ENCRYPTED:
        raise Unreadable(ENCRYPTED)
    # Of other methods, the library unpacks all that a piece of input holds, which can be all.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(OTHER_METHOD)
    with parsing():
        file = archive.open(info)
    with file:
        while True:
            with parsing():
                chunk = file.read(CHUNK)
            if not chunk:
                return
            yield chunk
