"""What our slides can do that sphinx-revealjs cannot.

notes      what the speaker says, asks, shows and watches out for, the slide's minutes, and
           whether it is shown in the evening, when there is time for a few of them only
now-you    an exercise: its number, title, minutes, tasks and command, from exercise.toml
course     all exercises, from the same source
changes    two files of the repository, or one object in both, as a red and green diff, without
           docstrings: the speaker says that
address    the command that clones the kit
drawing    one of docs/assets; with `:steps:`, one group after the other
demo       a script of slides/demos: the command, and the output that a test has compared

Each heading starts a slide. Python that is too wide for one is shown as ruff writes it for that
width, and a text that is longer than the line ends with “…”, so that no line wraps:
`:data-line-numbers:` counts the lines that are shown. The deck `talk` is all decks, one after the
other.
"""

import ast
import difflib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from sphinx_revealjs.writers import RevealjsSlideTranslator  # type: ignore[import-untyped]

from kit.course import catalogue, line
from kit.course.decks import TALK
from kit.site.drawing import alone

ROOT = Path(__file__).resolve().parents[2]
TITLE_PAPER = ' data-background-color="#0b4a57"'  # --deep, in workshop.css
TERMS = ("Say", "Ask", "Demo", "Watch out")
SMALLEST, LARGEST = 24, 34  # pixels, of code on a slide of 1280 x 720
ROOM_WIDE = 1100 / 0.602  # of the width of a slide, in ems of the code's letters
GUTTER = 5  # columns, of line numbers
ROOM_HIGH = 500 / 1.3
MARGINS = 15, 16, 15, 12  # of a drawing: left, top, right, bottom
WIDE = int(ROOM_WIDE / SMALLEST)  # columns
TRAILING = re.compile(r"^( *)(.+?)  (# .+)$")
CLOSING = re.compile(r"""["'][)\]},]*$""")
EVENING = '<i title="evening">●</i>'
LEGEND = "<i>●</i> in the evening track, too"
SKIP = '<p style="margin: 0 0 0.6em"><em>In an evening of two hours: skip this slide.</em></p>\n'
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


class notes(nodes.General, nodes.Element):
    """Speaker notes."""


class Directive(SphinxDirective):
    """Errors name the deck and the line; `raw` puts HTML on the slide."""

    def file(self, name: str) -> Path:
        """A file of the repository."""
        path = ROOT / name
        if not path.is_file():
            raise self.error(f"there is no file {name}")
        self.env.note_dependency(str(path))
        return path

    def raw(self, html: str) -> list[nodes.Node]:
        return [nodes.raw("", html, format="html")]


class Notes(Directive):
    """A definition list of Say, Ask, Demo, Watch out.

    `:minutes:` is the time of the slide. Without `:evening:`, the evening track skips it.
    """

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"minutes": float, "evening": directives.flag}

    def run(self) -> list[nodes.Node]:
        node = notes(minutes=self.options.get("minutes", 0.0), evening="evening" in self.options)
        self.state.nested_parse(self.content, self.content_offset, node)
        terms = [term.astext() for term in node.findall(nodes.term)]
        for term in node.findall(nodes.term):  # the speaker view has no style for them
            term.children = [nodes.strong(term.astext(), term.astext())]
        if not terms or set(terms) - set(TERMS):
            raise self.error(f"notes are a list of {', '.join(TERMS)}; here are {terms}")
        if not node["minutes"]:
            raise self.error("notes have :minutes:, or the speaker view cannot tell the pace")
        return [node]


class NowYou(Directive):
    """An exercise, for people to do now."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        exercise = catalogue.find(self.arguments[0])
        self.env.note_dependency(str(exercise.starter / "exercise.toml"))
        number = f"{exercise.number:02}"
        tasks = "".join(f"<li>{_escaped(task.title)}</li>" for task in exercise.tasks)
        evening = "" if "evening" in exercise.tracks else "<em>not in the evening track</em>"
        return self.raw(
            f'<div class="now-you" data-number="{number}" data-minutes="{exercise.minutes}">'
            f'<p class="which"><strong>{number} {_escaped(exercise.title)}</strong>'
            f"<span>{exercise.minutes} minutes</span>{evening}</p>"
            f'<ul class="tasks">{tasks}</ul>'
            f'<pre class="terminal">./workshop check {number}\n'
            f"./workshop hint {number}       # stuck?\n"
            f"./workshop solution {number}   # time is up?</pre></div>"
        )


class Course(Directive):
    """All exercises, as a line in two columns."""

    def run(self) -> list[nodes.Node]:
        stations = line.as_html(
            catalogue.load(),
            note=lambda each: f"<small>{each.minutes} min{_dot(each)}</small>",
        )
        return self.raw(f'{stations}<p class="small">{LEGEND}</p>')


class Address(Directive):
    """Where the kit is: `[project.urls]` of pyproject.toml has it."""

    def run(self) -> list[nodes.Node]:
        project = tomllib.loads(self.file("pyproject.toml").read_text(encoding="utf-8"))["project"]
        command = f"git clone {project['urls']['Repository']}"
        return self.raw(f'<pre class="terminal address">{_escaped(command)}</pre>')


class Changes(Directive):
    """`old new`: two paths. `:object:` takes one function or class of both."""

    required_arguments = 2
    option_spec: ClassVar[dict[str, Any]] = {
        "object": directives.unchanged_required,
        "context": directives.nonnegative_int,
    }

    def run(self) -> list[nodes.Node]:
        old, new = (self._lines(name) for name in self.arguments)
        context = self.options.get("context", 3)
        diff = list(difflib.unified_diff(old, new, n=context, lineterm=""))[2:]
        if not diff:
            raise self.error("the two are the same")
        # No header, no numbers; and where lines are missing, it says so.
        shown = [" …" if line.startswith("@@") else line for line in diff]
        if re.match(r"@@ -1[, ]", diff[0]):
            del shown[0]
        if diff[-1][1:] not in (old[-1], new[-1]):
            shown.append(" …")
        block = nodes.literal_block("\n".join(shown), "\n".join(shown))
        block["language"], block["linenos"] = "diff", False
        return [block]

    def _lines(self, name: str) -> list[str]:
        source = _narrow(_untold(self.file(name).read_text(encoding="utf-8")), WIDE - 1)
        wanted = self.options.get("object")
        if wanted is None:
            return source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if getattr(node, "name", None) == wanted:
                assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                first = min([node.lineno, *(it.lineno for it in node.decorator_list)])
                return source.splitlines()[first - 1 : node.end_lineno]
        raise self.error(f"there is no {wanted} in {name}")


class Drawing(Directive):
    """`name`, of docs/assets. Put into the page, so that its groups step-1, step-2 can appear."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"steps": directives.flag}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        svg = self.file(f"docs/assets/{name}.svg").read_text(encoding="utf-8")
        svg = _cropped(svg[svg.index("<svg") :])
        place = f"{name}-{self.env.new_serialno('drawing')}"
        if "steps" in self.options:
            svg, steps = re.subn(r'<g id="step-(\d+)"(?: class="([^"]*)")?', _fragment, svg)
            if not steps:
                raise self.error(f"{name} has no groups step-1, step-2, …")
        return self.raw(f'<div class="picture" id="{place}">{alone(svg, place)}</div>')


class Demo(Directive):
    """`script`: how to run it, and what it says. `:first:` is what else has to be running."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"first": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        script = self.file(f"slides/demos/{name}")
        said = self.file(f"slides/demos/{script.stem}.out").read_text(encoding="utf-8")
        program = "sh" if script.suffix == ".sh" else ".venv/bin/python"
        first = self.options.get("first")
        commands = [first] if first else []
        commands.append(f"{program} slides/demos/{name}")
        typed = [f"$ {command}" for command in commands]
        lines = said.rstrip().splitlines()
        shown = [f"<b>{_escaped(line)}</b>" for line in typed] + [_escaped(line) for line in lines]
        rows = "".join(f"<span>{row}\n</span>" for row in shown)
        size = _size([*typed, *lines])
        return self.raw(f'<pre class="terminal" style="font-size: {size}px">{rows}</pre>')


class Translator(RevealjsSlideTranslator):  # type: ignore[misc]  # it ships no types
    """One heading, one slide, all of them side by side; what is known of a slide in its foot."""

    _open: nodes.section | None = None

    def visit_section(self, node: nodes.section) -> None:
        self.section_level += 1
        self._close()
        found = node.next_node(notes)
        if found is None or _slide_of(found) is not node:
            raise nodes.SkipNode  # said already, by `check`
        kind = "title" if self.section_level == 1 else "slide"
        seconds = round(60 * found["minutes"])
        self.body.append(
            f'<section id="{node["ids"][-1]}" class="{kind}" data-timing="{seconds}"'
            f"{TITLE_PAPER if kind == 'title' else ''}>\n"
        )
        self._open = node

    def depart_section(self, node: nodes.section) -> None:
        self.section_level -= 1
        if self.section_level == 0:
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            foot = f"<span>{_escaped(self._open['deck-title'])}</span>"
            if self._open["exercise"]:
                foot += f"<span>exercise {self._open['exercise']}</span>"
            foot += f'<span class="page">{self._open["page"]}</span>'
            self.body.append(f'<div class="foot">{foot}</div></section>\n')
            self._open = None

    def visit_literal_block(self, node: nodes.Element) -> None:
        """Each line a row of a table, numbered or not: what has to wrap is then indented."""
        node["linenos"] = node.get("linenos", False)
        plain = "" if node["linenos"] or "data-line-numbers" in node else " plain"
        if plain:
            node["data-line-numbers"] = ""
        here = len(self.body)
        super().visit_literal_block(node)
        style = f'<pre class="code-{node["language"]}{plain}" style="font-size: {node["size"]}px"'
        self.body[here] = self.body[here].replace("<pre", style, 1)

    # The speaker view knows nothing of our style sheet, and has little room.

    def visit_notes(self, node: notes) -> None:
        self.body.append('<aside class="notes"><div style="font-size: 0.72em; line-height: 1.3">\n')
        if not node["evening"]:
            self.body.append(SKIP)

    def depart_notes(self, node: notes) -> None:
        self.body.append("</div></aside>\n")

    def visit_definition(self, node: nodes.Element) -> None:
        self.body.append('<dd style="margin: 0 0 0.6em">')

    def visit_paragraph(self, node: nodes.Element) -> None:
        if isinstance(node.parent, nodes.definition):
            self.body.append('<p style="margin: 0">')
        else:
            super().visit_paragraph(node)


def check(app: Sphinx, doctree: nodes.document) -> None:
    """Each slide has notes of its own; and learns its deck, and the exercise it leads to."""
    exercise = ""
    opened: list[str] = []
    for section in reversed(list(doctree.findall(nodes.section))):
        here = [found for found in section.findall(notes) if _slide_of(found) is section]
        if len(here) != 1:
            title = section.next_node(nodes.title)
            where = title.astext() if title else "a slide"
            raise ExtensionError(f"{app.env.docname}: {where!r} has {len(here)} notes, not one")
        for raw in section.findall(nodes.raw):
            number = re.search(r'data-number="(\d+)"', raw.astext())
            if number and _slide_of(raw) is section:
                exercise = number[1]
                opened.insert(0, exercise)
        section["exercise"] = exercise
        _fit(section)
        if isinstance(section.parent, nodes.document):
            exercise = ""
    sections = list(doctree.findall(nodes.section))
    for page, section in enumerate(sections, 1):
        section["page"] = f"{page} / {len(sections)}"
        top = section
        while isinstance(top.parent, nodes.section):
            top = top.parent
        section["deck-title"] = top[0].astext()
    name = app.env.docname
    minutes = sum(found["minutes"] for found in doctree.findall(notes))
    planned = TALK.get(name, sum(TALK.values()))
    if minutes != planned:
        raise ExtensionError(
            f"{name}: its slides take {minutes:g} minutes, and the plan is {planned:g}"
        )
    decks(app)[name] = {
        "name": name,
        "title": next(iter(doctree.findall(nodes.title))).astext(),
        "minutes": minutes,
        "exercises": opened,
    }


def decks(app: Sphinx) -> dict[str, dict[str, Any]]:
    """What is known of each deck; kept with Sphinx's own knowledge."""
    known: dict[str, dict[str, Any]] = app.env.__dict__.setdefault("workshop_decks", {})
    return known


def list_decks(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """For index.html."""
    if page == "index":
        known = decks(app)
        context["decks"] = [known[name] for name in TALK]
        context["talk_minutes"] = known["talk"]["minutes"]


def read_talk(app: Sphinx, docname: str, source: list[str]) -> None:
    """The talk is its decks."""
    if docname == "talk":
        decks = [(Path(app.srcdir) / f"{deck}.md") for deck in TALK]
        for deck in decks:
            app.env.note_dependency(str(deck))
        bodies = [FRONT_MATTER.sub("", deck.read_text(encoding="utf-8")) for deck in decks]
        source[0] = "\n\n".join(bodies)


def tidy(app: Sphinx, failure: Exception | None) -> None:
    """Remove what comes with reveal.js and is not used."""
    static = Path(app.outdir) / "_static"
    for pattern in app.config.workshop_not_shipped:
        for path in static.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _fit(slide: nodes.section) -> None:
    """Code as large as a slide takes, from SMALLEST up; too wide even for that, it is narrowed."""
    blocks = [it for it in slide.findall(nodes.literal_block) if _slide_of(it) is slide]
    numbered = any("data-line-numbers" in block for block in blocks)
    gutter = GUTTER if numbered else 0
    for block in blocks:
        if block["language"] == "python":
            block.rawsource = _narrow(block.astext(), WIDE - gutter)
        block.rawsource = _shortened(block.rawsource or block.astext(), WIDE - gutter)
        block.children = [nodes.Text(block.rawsource)]
    lines = [line for block in blocks for line in block.astext().splitlines()]
    for block in blocks:
        block["size"] = _size(lines, gutter)


@cache
def _narrow(source: str, columns: int) -> str:
    """Python, or an excerpt of it, in so many columns. A comment too far out goes on a new line."""
    if max(map(len, source.splitlines()), default=0) <= columns:
        return source
    argv = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--quiet"]
    argv += [f"--line-length={columns}", "-"]
    done = subprocess.run(argv, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExtensionError(f"ruff cannot format this:\n{source}\n{done.stderr}")
    return "\n".join(
        TRAILING.sub(r"\1\2\n\1    \3", line) if len(line) > columns else line
        for line in done.stdout.splitlines()
    )


def _shortened(source: str, columns: int) -> str:
    """Code whose lines end with a text that is too long: only the beginning of that text."""

    def short(line: str) -> str:
        closing = CLOSING.search(line)
        if len(line) <= columns or closing is None:
            return line
        return f"{line[: columns - len(closing[0]) - 1].rstrip()}…{closing[0]}"

    return "\n".join(map(short, source.splitlines()))


def _untold(source: str) -> str:
    """A module without the docstrings of its functions and classes."""
    told: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first, *others = node.body
            if others and ast.get_docstring(node) is not None:
                told.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return "\n".join(line for number, line in lines if number not in told)


def _size(lines: list[str], gutter: int = 0) -> int:
    longest = gutter + max(map(len, lines), default=1)
    room = min(ROOM_WIDE / max(longest, 1), ROOM_HIGH / max(len(lines), 1))
    return max(SMALLEST, min(LARGEST, int(room)))


def _slide_of(node: nodes.Node) -> nodes.Node | None:
    parent = node.parent
    while parent is not None and not isinstance(parent, nodes.section):
        parent = parent.parent
    return parent


def _fragment(group: re.Match[str]) -> str:
    classes = f"{group[2]} fragment" if group[2] else "fragment"
    return f'<g id="step-{group[1]}" data-fragment-index="{group[1]}" class="{classes}"'


def _cropped(svg: str) -> str:
    """The drawing without its margins: each pixel of width makes its text larger."""

    def crop(found: re.Match[str]) -> str:
        width, height = int(found[1]), int(found[2])
        left, top, right, bottom = MARGINS
        return f'viewBox="{left} {top} {width - left - right} {height - top - bottom}"'

    return re.sub(r'viewBox="0 0 (\d+) (\d+)"', crop, svg, count=1)


def _dot(exercise: catalogue.Exercise) -> str:
    return EVENING if "evening" in exercise.tracks else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _add(app: Sphinx, named: Iterable[tuple[str, type[SphinxDirective]]]) -> None:
    for name, directive in named:
        app.add_directive(name, directive)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("workshop_not_shipped", [], "html")
    app.add_node(notes, revealjs=(Translator.visit_notes, Translator.depart_notes))
    app.set_translator("revealjs", Translator)
    _add(app, [("notes", Notes), ("now-you", NowYou), ("course", Course), ("changes", Changes)])
    _add(app, [("drawing", Drawing), ("demo", Demo), ("address", Address)])
    app.connect("source-read", read_talk)
    app.connect("doctree-read", check)
    app.connect("html-page-context", list_decks)
    app.connect("build-finished", tidy)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
