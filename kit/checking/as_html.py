"""A failure as HTML, for the class report and for the handbook."""

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from kit.checking.wording import Entry

HERE = Path(__file__).parent
CODE = re.compile(r"`([^`]+)`")


def environment(*folders: Path) -> Environment:
    """Templates of these folders. Each may import `described`, of failure.html.j2."""
    return Environment(
        loader=FileSystemLoader([*folders, HERE]), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def described(entries: Sequence[Entry]) -> Markup:
    """Labelled texts as a list. All of them are escaped."""
    module = environment().get_template("failure.html.j2").make_module()
    return Markup(module.described(entries))  # type: ignore[attr-defined]  # its macro


def with_code(text: str) -> Markup:
    """A sentence of Markdown in which words may be code. All of it is escaped."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))
