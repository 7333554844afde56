"""Submissions as folders and archives, some of them damaged or forged on purpose."""

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


def as_folder(place: Path, files: Mapping[str, bytes]) -> Source:
    for name, content in files.items():
        file = place / "ada" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return Source("ada", place / "ada", "folder")


def as_zip(place: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Source:
    place.mkdir(exist_ok=True)
    with zipfile.ZipFile(place / "ada.zip", "w", method) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return Source("ada", place / "ada.zip", "archive")


def as_tar(place: Path, files: Mapping[str, bytes]) -> Source:
    return tar_of(place, *(tar_member(name, content) for name, content in files.items()))


def tar_member(name: str, content: bytes = b"", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a .tar.gz. `more` are fields of its header, which may be false."""
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
class ZipEntry:
    """An entry of a .zip, whose header may be false.

    `packed` is the data in the archive (by default `content`). `size` and `crc` are what the
    header claims about the unpacked data (by default the true values of `content`).
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
        """The fields that the entry's own header and the archive's directory have in common."""
        packed = self.content if self.packed is None else self.packed
        size = len(self.content) if self.size is None else self.size
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        sizes = (crc, len(packed), size, len(self.name), 0)
        return struct.pack("<HHHHHIIIHH", 20, self.flags, self.method, 0, 33, *sizes)


def zip_of(place: Path, *entries: ZipEntry) -> Source:
    heads, listed, at = [], [], 0
    for entry in entries:
        data = entry.content if entry.packed is None else entry.packed
        heads.append(b"PK\3\4" + entry.header() + entry.name + data)
        more = struct.pack("<HHHII", 0, 0, 0, entry.mode << 16, at)
        listed.append(b"PK\1\2" + struct.pack("<H", 3 << 8) + entry.header() + more + entry.name)
        at += len(heads[-1])
    body, directory = b"".join(heads), b"".join(listed)
    count = min(len(entries), 0xFFFF)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    (place / "ada.zip").write_bytes(body + directory + b"PK\5\6" + end)
    return Source("ada", place / "ada.zip", "archive")


def deflated_zeros(megabytes: int, before: bytes = b"") -> bytes:
    """A raw deflate stream of `before` and many zeros: a thousandth of their size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    ten = packer.compress(bytes(10 * MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed + ten * (megabytes // 10) + packer.flush()


def gz_of(place: Path, stream: bytes) -> Source:
    """A .tar.gz of a raw deflate stream, with a wrong check sum."""
    head = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    (place / "ada.tar.gz").write_bytes(head + stream + bytes(8))
    return Source("ada", place / "ada.tar.gz", "archive")
