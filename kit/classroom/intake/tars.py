"""The entries of a .tar.gz.

It can only be unpacked from its beginning, with the entries that are not wanted. So there is a
limit for the size of all entries together.
"""

import os
import tarfile
import zlib
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
    DAMAGED,
    METADATA_TOO_LARGE,
    TOO_MANY_ENTRIES,
    VENV_HINT,
    BoundedFile,
    parts_of,
    unreadable_on_error,
)

MAX_UNPACKED_BYTES = 1_000_000_000  # of a whole archive, ignored entries included
MAX_HEADER_BYTES = 1 << 16  # of one entry
MAX_PAX_HEADERS = 100  # global ones, which hold for all entries
MAX_GZIP_MEMBERS = 1_000  # a .gz can be several compressed streams in a row
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31  # zlib's number for the gzip format

UNPACKED_TOO_LARGE = (
    f"The archive unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000_000} GB. {VENV_HINT}"
)


def tar_gz_entries(file: BoundedFile, is_wanted: EntryFilter) -> Iterator[Entry]:
    """The wanted entries of a .tar.gz, and all that lead out of it. Raises Unreadable."""
    stream = _UnpackedStream(file)
    with unreadable_on_error():
        archive = tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    seen = 0
    while (info := _next_header(archive, stream)) is not None:
        seen += 1
        if seen > MAX_ENTRIES:
            raise Unreadable(TOO_MANY_ENTRIES)
        parts = parts_of(info.name)
        if parts is None:
            yield Entry(info.name, (), "outside")
        elif is_wanted(parts):
            kind = _kind(info)
            content = stream.content(info.offset_data, info.size) if kind == "file" else ()
            yield Entry(info.name, parts, kind, content)
    stream.finish()


def _next_header(archive: tarfile.TarFile, stream: "_UnpackedStream") -> tarfile.TarInfo | None:
    stream.reset_header_limit()
    with unreadable_on_error():
        info = archive.next()
    archive.members.clear()  # type: ignore[attr-defined]  # kept for reading again only
    # `tarfile` copies the global headers for every entry: many of them take hours.
    if len(archive.pax_headers) > MAX_PAX_HEADERS:
        raise Unreadable(METADATA_TOO_LARGE)
    # `tarfile` also returns None for a broken header.
    if info is None and not stream.at_end:
        raise Unreadable(DAMAGED)
    return info


def _kind(info: tarfile.TarInfo) -> Kind:
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return "link"
    return "file" if info.isreg() and not info.issparse() else "special"


class _UnpackedStream:
    """The unpacked stream of a .gz, in the form that `tarfile` reads.

    It is read forwards only, in chunks, and no further than MAX_UNPACKED_BYTES. The standard
    library's `gzip` is not used, because it reads a long gzip header byte by byte.
    """

    def __init__(self, file: BoundedFile) -> None:
        self._file = file
        self._decompressor = zlib.decompressobj(wbits=_GZIP_WBITS)
        self._ahead = b""
        self._members = 1
        self._position = 0
        self._header_bytes_left = MAX_HEADER_BYTES
        self._last_header = b""

    @property
    def at_end(self) -> bool:
        """Whether the last header is the block of zeros that ends an archive."""
        return self._last_header == bytes(tarfile.BLOCKSIZE)

    def reset_header_limit(self) -> None:
        """Call before each header: it may have MAX_HEADER_BYTES."""
        self._header_bytes_left = MAX_HEADER_BYTES

    def tell(self) -> int:
        return self._position

    def seek(self, to: int, whence: int = os.SEEK_SET) -> int:
        if to < self._position or whence != os.SEEK_SET:
            raise Unreadable(DAMAGED)
        while self._position < to and self._read_up_to(to - self._position):
            pass
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read a part of a header. The content of files is read by `content`."""
        if not 0 <= size <= self._header_bytes_left:
            raise Unreadable(METADATA_TOO_LARGE)
        self._header_bytes_left -= size
        self._last_header = b"".join(self._read_chunks(size))
        return self._last_header

    def content(self, start: int, size: int) -> Iterator[bytes]:
        """The content of a file at or after the current position, in chunks."""
        self.seek(start)
        end = start + size
        yield from self._read_chunks(size)
        if self._position < end:
            raise Unreadable(DAMAGED)

    def finish(self) -> None:
        """Read to the end: only there zlib compares the checksum of all that came before."""
        while self._read_up_to(CHUNK_BYTES):
            pass

    def _read_chunks(self, size: int) -> Iterator[bytes]:
        while size and (data := self._read_up_to(size)):
            size -= len(data)
            yield data

    def _read_up_to(self, size: int) -> bytes:
        """At least one byte and at most `size`, or none at the end."""
        while True:
            if self._decompressor.eof and not self._begin_next_member():
                return b""
            packed = self._decompressor.unconsumed_tail or self._read_packed()
            with unreadable_on_error():
                data = self._decompressor.decompress(packed, min(size, CHUNK_BYTES))
            if data:
                self._position += len(data)
                if self._position > MAX_UNPACKED_BYTES:
                    raise Unreadable(UNPACKED_TOO_LARGE)
                return data
            if not packed and not self._decompressor.eof:
                raise Unreadable(DAMAGED)

    def _begin_next_member(self) -> bool:
        """Go on to the next gzip member, if there is one. Other bytes that follow are padding."""
        rest = self._decompressor.unused_data or self._read_packed()
        if not rest.startswith(GZIP_MAGIC):
            return False
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise Unreadable(METADATA_TOO_LARGE)
        self._decompressor = zlib.decompressobj(wbits=_GZIP_WBITS)
        self._ahead = rest
        return True

    def _read_packed(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        with unreadable_on_error():
            return ahead or self._file.read(CHUNK_BYTES)
