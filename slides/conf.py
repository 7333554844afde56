"""Sphinx builds the slides: `./workshop slides`, or `make site`. Decks are the .md files here."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from kit.course import catalogue  # noqa: E402

project = "The notebook runner workshop"
author = "The workshop's authors"
copyright = "CC BY 4.0"
language = "en"

extensions = ["myst_parser", "sphinx_revealjs", "workshop_slides"]
root_doc = "talk"
exclude_patterns = ["_*", "demos", "Thumbs.db", ".DS_Store"]
templates_path = ["_templates"]
myst_enable_extensions = ["deflist"]
suppress_warnings = ["toc.not_included"]  # decks stand side by side: there is no table of contents
smartquotes = False

revealjs_html_theme = "revealjs-simple"
revealjs_style_theme = "workshop.css"
revealjs_static_path = ["_static", "../docs/stylesheets/colour.css"]
revealjs_css_files = ["colour.css"]
revealjs_js_files = ["speaker.js", "overview.js"]
revealjs_use_section_ids = True
html_additional_pages = {"index": "index.html"}
html_favicon = f"../solutions/{catalogue.product().slug}/nb_runner/page/favicon.svg"
html_copy_source = False
html_show_sourcelink = False

# Its Google fonts and its mathematics would ask other hosts, if they were used. They are not.
workshop_not_shipped = ["revealjs/css", "revealjs/dist/theme", "revealjs/plugin/m*"]

revealjs_script_plugins = [
    {"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"},
    {"name": "RevealHighlight", "src": "revealjs/plugin/highlight/highlight.js"},
]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0,
    "center": False,
    "display": "flex",
    "hash": True,
    "overview": False,  # overview.js has one that can be read
    "slideNumber": False,  # it does not scale with the slide: the foot of a slide has the number
    "transition": "none",
    "backgroundTransition": "none",
    "controls": False,
    "pdfSeparateFragments": False,
    "pdfMaxPagesPerSlide": 1,
    "defaultTiming": 60,  # each slide says its own; without this, the speaker view shows no pace
    "scrollActivationWidth": None,
}
