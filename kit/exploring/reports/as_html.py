"""An exploration as one page, which loads nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from explorer import as_svg, find
from kit import identity
from kit.exploring.findings import RULE, Exploration, finding_of, table, ways_of
from kit.exploring.reports.as_text import CRASHES, FIRST, HAPPENED, conclusion, extent, title_of

HERE = Path(__file__).parent


def as_html(found: Exploration) -> str:
    """The page. All text of the project is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("explore.html.j2").render(
        found=found,
        rule=RULE,
        conclusion=conclusion(found),
        extent=extent,
        crashes=CRASHES,
        happened=HAPPENED,
        first=FIRST,
        table=table,
        ways_of=ways_of,
        sign=lambda kept: "✓" if kept else "✗",
        drawings=list(_drawings(found)),
        icon=identity.icon(),
        style=Markup(identity.colour() + (HERE / "explore.css").read_text(encoding="utf-8")),
    )


def _drawings(found: Exploration) -> Iterator[tuple[str, Markup]]:
    """Title and drawing of each schedule and each story that is shown."""
    for number, search in enumerate(found.searches):
        if search.failing is not None:
            svg = as_svg(search.failing, find(search.failing), name=f"search-{number}")
            yield _capital(search.name), Markup(svg)
    for number, point in enumerate(found.examples):
        svg = as_svg(point.story, finding_of(point), name=f"crash-{number}", full=True)
        yield _capital(title_of(point)), Markup(svg)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
