"""One colour, one icon and one title, wherever the project shows itself."""

import re
import subprocess
from pathlib import Path

from kit import identity
from kit.course import catalogue
from kit.workspace import ROOT

PAGE = catalogue.product().solution / "nb_runner" / "page"
TWIN = catalogue.product().starter / "nb_runner" / "page"
COLOUR = re.compile("--brand: (#[0-9a-f]{6});")


def texts() -> dict[Path, str]:
    """The files of the repository that can hold a colour."""
    names = subprocess.run(
        ["git", "ls-files", "*.css", "*.svg", "*.html", "*.j2", "*.js", "*.py", "*.md", "*.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = [ROOT / name for name in names]
    return {file: file.read_text(encoding="utf-8") for file in files if file.is_file()}


def test_the_colour_is_in_one_place_and_in_the_runner_which_stands_alone() -> None:
    found = COLOUR.search(identity.colour())
    assert found
    users = {file for file, text in texts().items() if found[1] in text.lower()}
    runner = {folder / name for folder in (PAGE, TWIN) for name in ("style.css", "favicon.svg")}
    assert users == {ROOT / "docs" / "stylesheets" / "colour.css", *runner}


def test_pages_take_the_colour_from_there() -> None:
    for file in (
        "docs/stylesheets/handbook.css",
        "slides/_static/workshop.css",
        "kit/classroom/reports/report.css",
        "kit/exploring/reports/explore.css",
    ):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(r"(--accent|--md-primary-fg-color): var\(--brand\);", text), file


def test_the_title_is_the_same_everywhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    title = readme.partition("\n")[0].removeprefix("# ")
    assert f"\nsite_name: {title}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert f'\nproject = "{title}"\n' in (ROOT / "slides" / "conf.py").read_text(encoding="utf-8")
