"""What all pages of the project have in common: the colour and the icon. Standard library only."""

from urllib.parse import quote

from kit.workspace import ROOT


def colour() -> str:
    """The style sheet with the colour, for a page that is one file."""
    return (ROOT / "docs" / "stylesheets" / "colour.css").read_text(encoding="utf-8")


def icon() -> str:
    """The runner's icon as a URL, for a page that is one file."""
    file = next(ROOT.glob("solutions/*/nb_runner/page/favicon.svg"))
    return f"data:image/svg+xml,{quote(file.read_text(encoding='utf-8'))}"
