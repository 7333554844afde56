"""What the cells of a run have put out: into the cell it belongs to, within OUTPUT_LIMIT."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import nbformat
from nbformat import NotebookNode

from .plain_text import Part, part

ALWAYS = 100_000  # bytes of an error that are kept whatever has been put out before
LONGEST_MESSAGE = 2_000  # characters that are kept of the message of a larger one

Message = Mapping[str, Any]


class Listener(Protocol):
    """What wants to know at once what cells put out, as text."""

    def show(self, part: Part) -> None:
        """A cell has put this out."""

    def clear(self, cell: int) -> None:
        """The outputs of the cell with this number are gone."""


@dataclass
class Display:
    """What is shown under one display id: any number of outputs hold the same `data`."""

    data: NotebookNode
    metadata: NotebookNode
    size: int
    copies: int = 0

    def update(self, data: NotebookNode, metadata: NotebookNode, size: int) -> None:
        """Show something else, in all outputs at once."""
        for old, new in ((self.data, data), (self.metadata, metadata)):
            old.clear()
            old.update(new)
        self.size = size


@dataclass
class Cell:
    """The outputs of one cell, and what they take."""

    number: int  # among the cells that run; the first one is 1
    outputs: list[NotebookNode]
    size: int = 0  # bytes, without what is shown under an id
    displays: Counter[str] = field(default_factory=Counter)  # how many outputs each id has here
    stream: NotebookNode | None = None  # the last output, if it is a stream that may go on
    pieces: list[str] = field(default_factory=list)  # of that stream

    def seal(self) -> None:
        """Make one text of the pieces of the stream. (To do so at each piece is quadratic.)"""
        if self.stream is not None:
            self.stream.text = "".join(self.pieces)
        self.stream, self.pieces = None, []


class Outputs:
    """Collects outputs. Bytes are counted as they come from the kernel, and while they are kept:
    what is cleared or replaced makes room again.

    Once something did not fit, the rest of the run's output is dropped, and counted. Errors are
    kept, cut to a limit of their own: they say why a run failed.
    """

    def __init__(self, limit: int, over: Callable[[], None], listener: Listener) -> None:
        """`over` is called once, when the limit is passed."""
        self.size = 0  # bytes that are kept
        self.dropped = 0  # bytes
        self._limit = limit
        self._over = over
        self._listener = listener
        self._cells: dict[int, Cell] = {}
        self._displays: dict[str, Display] = {}
        self._widgets: dict[str, int] = {}  # the largest state of each

    def begin(self, position: int, number: int, outputs: list[NotebookNode]) -> None:
        """A cell begins; its outputs are empty."""
        self._cells[position] = Cell(number, outputs)

    def seal(self) -> None:
        """Complete what is still collected."""
        for cell in self._cells.values():
            cell.seal()

    def add(self, position: int, content: Message, kind: str, size: int) -> None:
        """An output other than an update."""
        cell = self._cells[position]
        if kind == "stream":
            self._add_to_stream(cell, str(content["name"]), str(content["text"]), size)
        elif kind == "error":
            whole = size < ALWAYS or self._room(size)
            kept = size if whole else LONGEST_MESSAGE
            self._append(cell, _error(content, whole=whole), kept)
            if not whole:
                self._drop(cell, size - kept)
        elif self._fits(cell, size):
            output = nbformat.from_dict({"output_type": kind, **_bundle(content)})
            if kind == "execute_result":
                output.execution_count = content.get("execution_count")
            if not (display_id := _display_id(content)):
                self._append(cell, output, size)
                return
            display = self._displays.setdefault(
                display_id, Display(output.data, output.metadata, size)
            )
            output.data, output.metadata = display.data, display.metadata
            display.copies += 1
            cell.displays[display_id] += 1
            self.size += size
            self._append(cell, output, 0)

    def update(self, position: int, content: Message, size: int) -> None:
        """Something else is to be shown under a display id, wherever it is shown."""
        display = self._displays.get(_display_id(content) or "")
        if display is None:
            return
        grows = (size - display.size) * display.copies
        if self._fits(self._cells[position], grows):
            bundle = nbformat.from_dict(_bundle(content))
            display.update(bundle.data, bundle.metadata, size)
            self.size += grows

    def count_widget(self, position: int, widget: str, size: int) -> bool:
        """Whether a new state of a widget fits. It takes the place of the one before."""
        more = size - self._widgets.get(widget, 0)
        if more > 0 and not self.count(position, more):
            return False
        self._widgets[widget] = max(size, self._widgets.get(widget, 0))
        return True

    def count(self, position: int, size: int) -> bool:
        """Whether something fits that is kept elsewhere."""
        if self._fits(self._cells[position], size):
            self.size += size
            return True
        return False

    def cleared(self, position: int) -> None:
        """The outputs of a cell have been cleared."""
        cell = self._cells[position]
        self.size -= cell.size
        for display_id, copies in cell.displays.items():
            display = self._displays[display_id]
            self.size -= copies * display.size
            display.copies -= copies
            if not display.copies:
                del self._displays[display_id]
        self._cells[position] = Cell(cell.number, cell.outputs)
        self._listener.clear(cell.number)

    def _add_to_stream(self, cell: Cell, name: str, text: str, size: int) -> None:
        if not self._room(size):
            left = 0 if self.dropped else max(0, self._limit - self.size)
            text, kept = text[:left], min(left, size)
            self._put(cell, name, text, kept)
            self._drop(cell, size - kept)
        else:
            self._put(cell, name, text, size)

    def _put(self, cell: Cell, name: str, text: str, size: int) -> None:
        if not text:
            return
        if cell.stream is None or cell.stream.name != name:
            cell.seal()
            cell.stream = NotebookNode(output_type="stream", name=name, text="")
            cell.outputs.append(cell.stream)
        cell.pieces.append(text)
        cell.size += size
        self.size += size
        self._listener.show(Part(cell.number, text, stream=True))

    def _append(self, cell: Cell, output: NotebookNode, size: int) -> None:
        cell.seal()
        cell.outputs.append(output)
        cell.size += size
        self.size += size
        if text := part(cell.number, output):
            self._listener.show(text)

    def _room(self, size: int) -> bool:
        return not self.dropped and self.size + size <= self._limit

    def _fits(self, cell: Cell, size: int) -> bool:
        if self._room(size):
            return True
        self._drop(cell, max(size, 1))
        return False

    def _drop(self, cell: Cell, size: int) -> None:
        first, self.dropped = not self.dropped, self.dropped + size
        if not first:
            return
        words = f"\n[OUTPUT_LIMIT is {self._limit} bytes. The rest of the output was dropped.]\n"
        self._put(cell, "stderr", words, len(words))
        self._over()


def _display_id(content: Message) -> str | None:
    return (content.get("transient") or {}).get("display_id")


def _bundle(content: Message) -> dict[str, Any]:
    return {"data": content.get("data") or {}, "metadata": content.get("metadata") or {}}


def _error(content: Message, *, whole: bool) -> NotebookNode:
    """An error as nbformat wants it. What an exception makes of its own traceback may be null."""
    name, message = str(content.get("ename")), str(content.get("evalue"))
    lines = list(map(str, content.get("traceback") or [])) if whole else []
    message = message if whole else message[:LONGEST_MESSAGE]
    return NotebookNode(output_type="error", ename=name, evalue=message, traceback=lines)
