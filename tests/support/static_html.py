"""Built pages, looked at as files: where their links lead, and whom they would ask."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ABROAD = re.compile(r"^\s*(?:https?:)?//")
IN_CSS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
# What a browser fetches by itself. A link it only follows when told to.
FETCHES = {"data", "poster", "src", "srcset", "xlink:href", "href"}


@dataclass
class Html:
    """What matters of a page."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Html()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.page.anchors.add(value)
            elif name == "style":
                self.page.fetched += _in_css(value or "")
            elif name in FETCHES and value is not None:
                (self.page.links if tag in ("a", "area") else self.page.fetched).append(value)

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.page.fetched += _in_css(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def read(file: Path) -> Html:
    """A page's anchors, links, and what it fetches."""
    parser = _Parser()
    parser.feed(file.read_text(encoding="utf-8"))
    return parser.page


def fetched_abroad(site: Path) -> list[str]:
    """What pages and style sheets of the site would have a browser ask of other hosts."""
    told = [
        f"{file.relative_to(site)}: {each}"
        for file in site.rglob("*.html")
        for each in read(file).fetched
        if ABROAD.match(each)
    ]
    told += [
        f"{file.relative_to(site)}: {each}"
        for file in [*site.rglob("*.css"), *site.rglob("*.svg")]
        for each in _in_css(file.read_text(encoding="utf-8"))
        if ABROAD.match(each)
    ]
    return told


def broken_links(site: Path) -> list[str]:
    """Links within the site that lead nowhere, be it the file or the place in it."""
    pages = {file: read(file) for file in site.rglob("*.html")}
    return [
        f"{file.relative_to(site)}: {link}"
        for file, page in pages.items()
        for link in [*page.links, *page.fetched]
        if not _leads_somewhere(link, file, site, pages)
    ]


def _leads_somewhere(link: str, file: Path, site: Path, pages: dict[Path, Html]) -> bool:
    parts = urlsplit(link.strip())
    if parts.scheme or parts.netloc:
        return True  # another host, or mailto: not ours to follow
    path = unquote(parts.path)
    if not path:
        target = file
    elif path.startswith("/"):
        target = site / path.lstrip("/")
    else:
        target = (file.parent / path).resolve()
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    # Slides number their own: #/2/1.
    if not anchor or anchor.startswith("/") or target not in pages:
        return True
    return anchor in pages[target].anchors


def _in_css(text: str) -> list[str]:
    return [url or imported for url, imported in IN_CSS.findall(text)]
