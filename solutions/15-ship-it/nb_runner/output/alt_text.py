"""What a figure shows, as text: for people who do not see it."""

import re
from itertools import pairwise

from nbformat import NotebookNode

LONGEST = 300  # characters
# The title of a chart as the usual libraries set it: title("…"), set_title("…"), title="…".
TITLE = re.compile(r"""title(?:\s*=|\()\s*r?(?P<quote>["'])(?P<title>[^\n]+?)(?P=quote)""")


def describe_figures(notebook: NotebookNode) -> None:
    """Give each cell that put out a picture a text for it, unless its author has written one.

    The text goes to where Jupyter and nbconvert look for it: `alt` in the metadata of the cell.
    """
    before = NotebookNode(cell_type="markdown", source="")
    for above, cell in pairwise([before, *notebook.cells]):
        pictures = any(map(_is_picture, cell.get("outputs", [])))
        if pictures and (text := _text(cell.source, above)):
            cell.metadata.setdefault("alt", text[:LONGEST])


def _is_picture(output: NotebookNode) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def _text(source: str, above: NotebookNode) -> str:
    """The chart's title, else the first line of the text above, else the first line of code."""
    if found := TITLE.search(source):
        return found["title"].strip()
    return (_first_line(above.source) if above.cell_type == "markdown" else "") or _first_line(
        source
    )


def _first_line(text: str) -> str:
    """The first line with something in it, without the signs of a heading or a comment."""
    lines = (line.strip().lstrip("#").strip() for line in text.splitlines())
    return next(filter(None, lines), "")
