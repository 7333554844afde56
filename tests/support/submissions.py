"""Work as learners hand it in: folders and archives, made here, and archives nobody should make."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.classroom.intake.sources import Source

MB = 1_000_000


def folder(place: Path, files: Mapping[str, bytes]) -> Source:
    for name, content in files.items():
        file = place / "ada" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return Source("ada", place / "ada", "folder")


def zipped(place: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Source:
    place.mkdir(exist_ok=True)
    with zipfile.ZipFile(place / "ada.zip", "w", method) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return Source("ada", place / "ada.zip", "archive")


def tarred(place: Path, files: Mapping[str, bytes]) -> Source:
    return tar_of(place, *(member(name, content) for name, content in files.items()))


def member(name: str, content: bytes = b"", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A piece of a .tar.gz, with other fields than it should have."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in more.items():
        setattr(info, field, value)
    return info, content


def tar_of(place: Path, *members: tuple[tarfile.TarInfo, bytes], **more: Any) -> Source:
    place.mkdir(exist_ok=True)
    with tarfile.open(place / "ada.tar.gz", "w:gz", **more) as packed:
        for info, content in members:
            packed.addfile(info, io.BytesIO(content))
    return Source("ada", place / "ada.tar.gz", "archive")


@dataclass
class Raw:
    """A piece of a .zip, written as it is told: `packed` is what is there, and `size` and `crc`
    are what is said of what it unpacks to; without them, `content` is there and told.
    """

    name: bytes
    content: bytes = b""
    packed: bytes | None = None
    method: int = zipfile.ZIP_STORED
    flags: int = 0
    mode: int = 0
    size: int | None = None
    crc: int | None = None

    def header(self) -> bytes:
        """What the head of the piece and the archive's directory have in common."""
        packed = self.content if self.packed is None else self.packed
        size = len(self.content) if self.size is None else self.size
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        sizes = (crc, len(packed), size, len(self.name), 0)
        return struct.pack("<HHHHHIIIHH", 20, self.flags, self.method, 0, 33, *sizes)


def zip_of(place: Path, *pieces: Raw) -> Source:
    heads, listed, at = [], [], 0
    for piece in pieces:
        data = piece.content if piece.packed is None else piece.packed
        heads.append(b"PK\3\4" + piece.header() + piece.name + data)
        more = struct.pack("<HHHII", 0, 0, 0, piece.mode << 16, at)
        listed.append(b"PK\1\2" + struct.pack("<H", 3 << 8) + piece.header() + more + piece.name)
        at += len(heads[-1])
    body, directory = b"".join(heads), b"".join(listed)
    count = min(len(pieces), 0xFFFF)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    (place / "ada.zip").write_bytes(body + directory + b"PK\5\6" + end)
    return Source("ada", place / "ada.zip", "archive")


def zeros(megabytes: int, before: bytes = b"") -> bytes:
    """A stream (raw deflate) of `before` and so many megabytes of zeros: a thousandth of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    ten = packer.compress(bytes(10 * MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed + ten * (megabytes // 10) + packer.flush()


def gz_of(place: Path, stream: bytes) -> Source:
    """A .tar.gz of a raw stream, whose check sum is wrong."""
    head = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    (place / "ada.tar.gz").write_bytes(head + stream + bytes(8))
    return Source("ada", place / "ada.tar.gz", "archive")
