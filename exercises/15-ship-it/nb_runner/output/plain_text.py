"""What cells put out, as plain text: as a terminal would show it, without its colours."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

# A terminal obeys these: colours, cursor and window title among them. Also those of 8 bits.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # strings
    r"|\x1b[ -/]*[0-~]"  # the others
)
UNFINISHED = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*\Z"
    r"|(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}\x1b?\Z"
    r"|\x1b[ -/]*\Z"
)
LONGEST_ESCAPE = 4100  # characters
CONTROLS = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all but \b \t \n \r


@dataclass(frozen=True)
class Part:
    """A piece of what a cell put out."""

    cell: int  # the first cell that runs has the number 1
    text: str
    stream: bool  # printed; else a result or an error, which has lines to itself


def clean(text: str) -> str:
    """Text without terminal escapes and control characters."""
    return CONTROLS.sub("", ESCAPES.sub("", text))


def sentence(text: str) -> str:
    """Text for a log or a record: no escapes, and nothing that writes over what stands there."""
    return re.sub("[\r\b]", "", clean(text))


def part(cell: int, output: NotebookNode) -> Part | None:
    """An output as text. None: it has none, a picture for example."""
    if output.output_type == "stream":
        text = str(output.text)
    elif output.output_type == "error":
        lines = output.traceback or [f"{output.ename}: {output.evalue}"]
        text = "\n".join(map(str, lines))
    else:
        data = output.get("data", {})
        text = str(data.get("text/plain", ""))
        if text.startswith("<") and any(kind.startswith("image/") for kind in data):
            text = ""  # it only names the picture: <Figure size 640x480 with 1 Axes>
    return Part(cell, text, output.output_type == "stream") if text else None


class Text:
    """Makes one text of parts, as they come.

    What is printed stays as it was printed. A result, an error or another cell begins a new line.
    """

    def __init__(self, *, whole_lines: bool) -> None:
        """`whole_lines`: hold a line back until it ends, and show what is left of it then.

        A progress bar goes back to the beginning of its line again and again.
        """
        self._whole_lines = whole_lines
        self._before: Part | None = None
        self._ends = ""  # line ends that have come and are not told yet
        self._escape = ""  # the beginning of an escape, perhaps
        self._line: list[str] = []  # the pieces of the line that has not ended

    def feed(self, part: Part) -> str:
        """What the part adds to the text."""
        before, self._before = self._before, part
        if before is None or (before.cell == part.cell and before.stream and part.stream):
            start = self._ends
        else:
            start = "\n"
        text = part.text.rstrip("\n")
        self._ends = part.text[len(text) :]
        return self._shown(self._cleaned(start + text if text else self._hold(start)))

    def end(self) -> str:
        """What is left at the end."""
        if self._before is None:
            return ""
        rest, self._escape = clean(self._escape), ""
        text = self._shown(rest + "\n")
        self._before, self._ends = None, ""
        return text

    def _hold(self, start: str) -> str:
        """A part that is nothing but line ends: they wait, with those before."""
        self._ends = start + self._ends
        return ""

    def _cleaned(self, text: str) -> str:
        text = self._escape + text
        self._escape = ""
        if unfinished := UNFINISHED.search(text, max(0, len(text) - LONGEST_ESCAPE)):
            text, self._escape = text[: unfinished.start()], unfinished.group()
        return clean(text)

    def _shown(self, text: str) -> str:
        if not self._whole_lines:
            return text
        first, newline, rest = text.rpartition("\n")
        if not newline:
            self._line.append(text)
            return ""
        lines = "".join([*self._line, first])
        self._line = [rest]
        if "\r" in lines or "\b" in lines:
            lines = "\n".join(map(_left_of, lines.split("\n")))
        return lines + "\n"


def _left_of(line: str) -> str:
    """What a terminal still shows of a line: after its last return, less what was taken back."""
    line = line.rstrip("\r").rpartition("\r")[2]
    if "\b" not in line:
        return line
    left: list[str] = []
    for character in line:
        if character != "\b":
            left.append(character)
        elif left:
            left.pop()
    return "".join(left)


def parts(notebook: NotebookNode, numbers: dict[int, int]) -> Iterator[Part]:
    """The parts of a notebook, in the order of its cells. `numbers`: of the cells that run."""
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if found := part(numbers[position], output):
                yield found
