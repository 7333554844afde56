"""What a run has put out so far: its worker appends it to a file, any API process reads it there.

Each line is JSON: {"cell": 2, "stream": true, "text": "…"}, or {"clear": 2} when the outputs of
that cell are gone. No fsync: what a dying machine takes along, nobody has seen.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from .plain_text import Part, Text

log = logging.getLogger(__name__)

WRITE_EVERY = 0.2  # seconds; as often as ipykernel sends what cells print
AT_ONCE = 1_000_000  # bytes that are read at a time
LATER = "\n[The rest is here when the run has ended.]\n"


class Live:
    """The worker's side. Never a reason for a run to fail: it gives up when the disk is full."""

    def __init__(self, path: Path, limit: int) -> None:
        """`limit`: the bytes that it may take."""
        self._left = limit
        self._file: BinaryIO | None = None
        self._timer: asyncio.TimerHandle | None = None
        try:
            self._file = path.open("ab")
        except OSError as error:
            self._give_up(error)

    def show(self, part: Part) -> None:
        """A cell has put this out."""
        self._append({"cell": part.cell, "stream": part.stream, "text": part.text})

    def clear(self, cell: int) -> None:
        """What the cell has put out is gone."""
        self._append({"clear": cell})

    def close(self) -> None:
        """There is nothing more to come."""
        if self._timer:
            self._timer.cancel()
        self._flush()
        if self._file:
            self._file.close()
            self._file = None

    def _append(self, record: dict[str, Any]) -> None:
        if self._file is None:
            return
        line = json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"
        self._left -= len(line)
        full = self._left < 0
        if full:
            later = {"cell": record.get("cell", 0), "stream": True, "text": LATER}
            line = json.dumps(later).encode() + b"\n"
        try:
            self._file.write(line)
        except OSError as error:
            self._give_up(error)
        if full:
            self.close()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_EVERY, self._flush)

    def _flush(self) -> None:
        self._timer = None
        try:
            if self._file:
                self._file.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("Output cannot be shown before the run has ended: %s", error)
        file, self._file = self._file, None
        if file:
            with suppress(OSError):  # it closes, though what is in its buffer cannot be written
                file.close()


def text_so_far(file: BinaryIO, cell: int | None) -> Iterator[bytes]:
    """What a run, or one cell of it, has put out so far, less what was cleared."""
    cleared = {
        record["clear"]: place for place, record in enumerate(_records(file)) if "clear" in record
    }
    file.seek(0)
    text = Text(whole_lines=True)
    for place, record in enumerate(_records(file)):
        stays = "text" in record and place > cleared.get(record["cell"], -1)
        if stays and cell in (None, record["cell"]):
            yield text.feed(Part(**record)).encode(errors="replace")
    yield text.end().encode(errors="replace")


class Tail:
    """What has come since the last look, for those who follow a run."""

    def __init__(self, file: BinaryIO, cell: int | None) -> None:
        self._file = file
        self._cell = cell
        self._rest = b""  # of a line that is not whole yet
        self._text = Text(whole_lines=False)

    def read(self) -> bytes | None:
        """Some of it. None: there is nothing new."""
        new = self._file.read(AT_ONCE)
        if not new:
            return None
        *lines, self._rest = (self._rest + new).split(b"\n")
        records = map(json.loads, lines)
        told = (
            self._text.feed(Part(**record))
            for record in records
            if "text" in record and self._cell in (None, record["cell"])
        )
        return "".join(told).encode(errors="replace")

    def end(self) -> bytes:
        """What was held back."""
        return self._text.end().encode(errors="replace")


def _records(file: BinaryIO) -> Iterator[dict[str, Any]]:
    for line in file:
        if line.endswith(b"\n"):  # else: it is being written
            yield json.loads(line)
