"""Built pages, read as files: broken links, and requests to other hosts."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

EXTERNAL = re.compile(r"^\s*(?:https?:)?//")
IN_CSS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
# Attributes with a URL. A browser fetches it to show the page, except for the href of a link.
FETCHES = {"data", "poster", "src", "srcset", "xlink:href", "href"}


@dataclass
class Html:
    """The anchors of a page, its links, and the URLs that a browser fetches to show it."""

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


def parse(file: Path) -> Html:
    """Read a page from its file."""
    parser = _Parser()
    parser.feed(file.read_text(encoding="utf-8"))
    return parser.page


def external_requests(site: Path) -> list[str]:
    """The URLs on other hosts that a browser would fetch for pages and style sheets of the site."""
    found = [
        f"{file.relative_to(site)}: {each}"
        for file in site.rglob("*.html")
        for each in parse(file).fetched
        if EXTERNAL.match(each)
    ]
    found += [
        f"{file.relative_to(site)}: {each}"
        for file in [*site.rglob("*.css"), *site.rglob("*.svg")]
        for each in _in_css(file.read_text(encoding="utf-8"))
        if EXTERNAL.match(each)
    ]
    return found


def broken_links(site: Path) -> list[str]:
    """Links within the site to a file or an anchor that does not exist."""
    pages = {file: parse(file) for file in site.rglob("*.html")}
    return [
        f"{file.relative_to(site)}: {link}"
        for file, page in pages.items()
        for link in [*page.links, *page.fetched]
        if not _resolves(link, file, site, pages)
    ]


def _resolves(link: str, file: Path, site: Path, pages: dict[Path, Html]) -> bool:
    parts = urlsplit(link.strip())
    if parts.scheme or parts.netloc:
        return True  # another host, or mailto: not checked
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
    # Anchors like #/2/1 are made by the script of the slides.
    if not anchor or anchor.startswith("/") or target not in pages:
        return True
    return anchor in pages[target].anchors


def _in_css(text: str) -> list[str]:
    return [url or imported for url, imported in IN_CSS.findall(text)]
