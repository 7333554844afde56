"""What is in somebody's .tar.gz, piece by piece. It has to be unpacked from its beginning, with
what is then left out, so how much that may be is bounded, too.
"""

import os
import tarfile
import zlib
from collections.abc import Iterator

from kit.classroom.intake.entries import CHUNK, ENTRIES, Entry, Kind, Unreadable, Want
from kit.classroom.intake.unpacking import (
    DAMAGED,
    TOO_MANY,
    TOO_WORDY,
    WITHOUT_VENV,
    Bounded,
    parsing,
    way,
)

UNPACKED = 1_000_000_000  # bytes, also of what is then left out
HEADERS = 1 << 16  # bytes before one piece
WORDS = 100  # that are said of all pieces
PIECES = 1_000  # that a .gz may be put together of
GZIP = b"\x1f\x8b"  # how it begins

TOO_MUCH = f"The archive unpacks to more than {UNPACKED // 1_000_000_000} GB. {WITHOUT_VENV}"


def in_tar_gz(file: Bounded, want: Want) -> Iterator[Entry]:
    stream = _Unpacked(file)
    with parsing():
        archive = tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    seen = 0
    while (info := _next(archive, stream)) is not None:
        seen += 1
        if seen > ENTRIES:
            raise Unreadable(TOO_MANY)
        parts = way(info.name)
        if parts is None:
            yield Entry(info.name, (), "outside")
        elif want(parts):
            kind = _tar_kind(info)
            content = stream.content(info.offset_data, info.size) if kind == "file" else ()
            yield Entry(info.name, parts, kind, content)
    stream.finish()


def _next(archive: tarfile.TarFile, stream: "_Unpacked") -> tarfile.TarInfo | None:
    stream.allow_headers()
    with parsing():
        info = archive.next()
    archive.members.clear()  # type: ignore[attr-defined]  # for going back, which we do not
    # They are copied for every piece, so many of them take hours.
    if len(archive.pax_headers) > WORDS:
        raise Unreadable(TOO_WORDY)
    # For the library, a broken header is an end like any other.
    if info is None and not stream.at_end:
        raise Unreadable(DAMAGED)
    return info


def _tar_kind(info: tarfile.TarInfo) -> Kind:
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return "link"
    return "file" if info.isreg() and not info.issparse() else "special"


class _Unpacked:
    """What a .gz unpacks to, for `tarfile` to read forwards: never backwards, never much at once,
    never more in all than UNPACKED. Not by `gzip`, which reads a long header byte by byte.
    """

    def __init__(self, file: Bounded) -> None:
        self._file = file
        self._unpack = zlib.decompressobj(wbits=31)  # 31: a .gz
        self._ahead = b""
        self._pieces = 1
        self._at = 0
        self._headers = HEADERS
        self._last_header = b""

    @property
    def at_end(self) -> bool:
        """Whether the last header is the one that ends an archive."""
        return self._last_header == bytes(tarfile.BLOCKSIZE)

    def allow_headers(self) -> None:
        """Another piece comes."""
        self._headers = HEADERS

    def tell(self) -> int:
        return self._at

    def seek(self, to: int, whence: int = os.SEEK_SET) -> int:
        if to < self._at or whence != os.SEEK_SET:
            raise Unreadable(DAMAGED)
        while self._at < to and self._some(to - self._at):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Of headers: what is in the files is `content`."""
        if not 0 <= size <= self._headers:
            raise Unreadable(TOO_WORDY)
        self._headers -= size
        self._last_header = b"".join(self._exactly(size))
        return self._last_header

    def content(self, start: int, size: int) -> Iterator[bytes]:
        """What is in a file, which has not been passed yet."""
        self.seek(start)
        end = start + size
        yield from self._exactly(size)
        if self._at < end:
            raise Unreadable(DAMAGED)

    def finish(self) -> None:
        """See that what comes after the end is whole, so that what came before was."""
        while self._some(CHUNK):
            pass

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size and (data := self._some(size)):
            size -= len(data)
            yield data

    def _some(self, size: int) -> bytes:
        """At least one byte and at most `size`, or none at the end."""
        while True:
            if self._unpack.eof and not self._begin_next():
                return b""
            packed = self._unpack.unconsumed_tail or self._more()
            with parsing():
                data = self._unpack.decompress(packed, min(size, CHUNK))
            if data:
                self._at += len(data)
                if self._at > UNPACKED:
                    raise Unreadable(TOO_MUCH)
                return data
            if not packed and not self._unpack.eof:
                raise Unreadable(DAMAGED)

    def _begin_next(self) -> bool:
        """Several .gz in a row are one. Anything else that follows is padding."""
        rest = self._unpack.unused_data or self._more()
        if not rest.startswith(GZIP):
            return False
        self._pieces += 1
        if self._pieces > PIECES:
            raise Unreadable(TOO_WORDY)
        self._unpack = zlib.decompressobj(wbits=31)
        self._ahead = rest
        return True

    def _more(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        with parsing():
            return ahead or self._file.read(CHUNK)
