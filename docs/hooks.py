"""Macros of the handbook: what a page includes is taken from where it is true.

A macro stands alone on its line, outside of code blocks:

    [[code PATH]]              a file of the repository
    [[code PATH NAME hl=3-5]]  a function, class, Class.method or assignment of a Python file
    [[facts NN]]               its station; minutes, tracks and what comes before an exercise
    [[tasks NN]]               the section Tasks of exercises/NN-*/README.md
    [[hints NN]]               its hints, folded
    [[solution NN]]            starter to solution as diffs, folded
    [[clone]]                  the line that fetches the kit and begins; if served, ./workshop
    [[line]]                   the course as a line
    [[exercises]]              the table of exercises
    [[slides]]                 where the slides are
    [[tracks]]                 how long each takes, and its exercises
    [[what-to-say NN]]         what instructors say to those whose answer is wrong
    [[agenda TRACK]]           the running order of a track
    [[verbs]] [[api]] [[environment]]   reference, as the programs tell it
    [[crash-points]] [[schedules]]      what was tried on the finished runner, and what came of it

What is not there fails the build, with page and line.
"""

import html
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kit import cli
from kit.course import catalogue
from kit.site.drawing import Drawing
from kit.site.macros import (
    excerpts,
    exercises,
    explored,
    front,
    layers,
    runner,
    timetable,
    verbs,
)
from kit.site.macros.markdown import Problem, outside_fences
from kit.workspace import ROOT

MACRO = re.compile(r"( *)\[\[([\w-]+)((?: [^\]]*)?)\]\]\s*")
DRAWING = re.compile(r'<p>(<img [^>]*src="([^"]+\.(?:svg|png))"[^>]*>)</p>')
CODE = re.compile(r"<code>([^<\n]+)</code>")
SHORT = 34  # characters: they fit a line of a phone
LONG_WORD = 16  # characters: more would take the page from the other columns of a table
# A browser would break it after the dash: `--` and `local` on two lines.
WORD_WITH_DASH = re.compile(r"(?<!\S)(?=\S{2,20}(?!\S))\S*-\S*")
OVERVIEW = "exercises/index.md"
HEADING = re.compile(r"(#+) ")
PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")
DESCRIPTION = 160  # characters: what a search engine shows
DARK = '[data-md-color-scheme="slate"]'  # around a page, when its reader wants it dark
ICON = "assets/favicon.svg"


def on_config(config: MkDocsConfig) -> None:
    """Add the version, the address to edit at, and the chapters to the navigation."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.copyright = f"Version {project['version']}. {config.copyright}"
    config.edit_uri = f"{project['urls']['Repository'].removesuffix('.git')}/edit/main/docs/"
    for part in config.nav or ():
        for pages in part.values():
            if OVERVIEW in pages:
                pages += [f"exercises/{each.slug}.md" for each in catalogue.load()]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the icon: the runner's own."""
    icon = catalogue.product().solution / "nb_runner" / "page" / "favicon.svg"
    files.append(File.generated(config, ICON, abs_src_path=str(icon)))


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Expand the macros of a page."""
    return expanded(markdown, page.file.src_uri)


def on_page_content(content: str, page: Page, **_: Any) -> str:
    """Describe the page, put its drawings into it, and keep short code on one line."""
    page.meta.setdefault("description", html.escape(described(content)))
    return DRAWING.sub(drawn, CODE.sub(unbroken, content))


def unbroken(found: re.Match[str]) -> str:
    """Code in a sentence: short code can stay on one line, and so can a word with a dash in it."""
    words = WORD_WITH_DASH.sub(r'<span class="word">\g<0></span>', found[1])
    kinds = ["short"] if len(found[1]) <= SHORT else []
    if max(len(word) for word in found[1].split()) > LONG_WORD:
        kinds.append("long")
    name = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<code{name}>{words}</code>"


def drawn(found: re.Match[str]) -> str:
    """A drawing in a page: its steps, or a link to itself, because on a phone its words are small.

    Those that are closed in themselves stay pictures. The steps need the drawing in the page.
    A screenshot is never larger than it is.
    """
    name, kind = Path(found[2]).stem, Path(found[2]).suffix
    link = f'<a href="{found[2]}" target="_blank" rel="noopener">{found[1]}</a>'
    if kind == ".png":
        return f'<p class="drawing shot">{link}</p>'
    source = (ROOT / "docs" / "assets" / f"{name}.svg").read_text(encoding="utf-8")
    drawing = Drawing(name, source)
    if drawing.has_steps:
        return drawing.as_html(f"steps-{name}", DARK)
    return f'<p class="drawing">{link}</p>'


def described(content: str) -> str:
    """The first paragraph of a page, as far as a search engine shows it."""
    texts = (html.unescape(TAG.sub("", found)) for found in PARAGRAPH.findall(content))
    first = next((text for each in texts if (text := " ".join(each.split()))), "")
    if len(first) <= DESCRIPTION:
        return first
    return f"{first[:DESCRIPTION].rpartition(' ')[0]} …"


def on_post_page(output: str, **_: Any) -> str:
    """Give the theme's search a name, for those who hear the page."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def expanded(markdown: str, name: str) -> str:
    """`markdown` with its macros expanded; `name` is the page's path in docs/."""
    lines = markdown.splitlines()
    prose = outside_fences(lines)
    told, level = [], 1
    for i, line in enumerate(lines):
        if prose[i] and (heading := HEADING.match(line)):
            level = len(heading[1])
        found = MACRO.fullmatch(line) if prose[i] else None
        if not found:
            told.append(line)
            continue
        try:
            text = expand(found[2], found[3].split(), page=name, level=level)
        except Problem as problem:
            raise PluginError(f"docs/{name}: {line.strip()}: {problem}") from None
        told += [f"{found[1]}{each}" if each else each for each in ["", *text.splitlines(), ""]]
    return "\n".join(told) + "\n"


def slides() -> str:
    """A link when they are in the same site (`make site`, `./workshop docs`), else the verb."""
    if os.environ.get("HANDBOOK_SLIDES"):
        return 'The slides are <a href="slides/">here</a>, with notes for the speaker (press S).'
    return "`./workshop slides` shows the slides, with notes for the speaker (press S)."


def expand(macro: str, words: list[str], *, page: str, level: int) -> str:
    """The text of one macro. Raises Problem."""
    options = dict(word.split("=", 1) for word in words if word.startswith("hl="))
    rest = [word for word in words if not word.startswith("hl=")]
    match macro, rest:
        case "code", [path]:
            return excerpts.code(path, **options)
        case "code", [path, name]:
            return excerpts.code(path, name, **options)
        case "facts", [number]:
            return exercises.facts(number, page=page)
        case "tasks", [number]:
            return exercises.tasks(number, level=level)
        case "hints", [number]:
            return exercises.hints(number)
        case "solution", [number]:
            return exercises.solution(number)
        case "clone", []:
            return front.begin() if os.environ.get("HANDBOOK_LIVE") else front.clone()
        case "line", []:
            return exercises.course_line(page=page)
        case "exercises", []:
            return exercises.exercises(page=page)
        case "layers", []:
            return layers.layers()
        case "tracks", []:
            return timetable.tracks()
        case "agenda", [track]:
            return timetable.timetable(track)
        case "what-to-say", [number]:
            return exercises.what_to_say(number)
        case "slides", []:
            return slides()
        case "verbs", []:
            return verbs.verbs(cli.with_all_verbs(), level=level)
        case "api", []:
            return runner.api(level=level)
        case "environment", []:
            return runner.environment()
        case "crash-points", []:
            return explored.crash_points()
        case "schedules", []:
            return explored.schedules()
    raise Problem("there is no such macro; docs/hooks.py lists them")
