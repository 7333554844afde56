"""An executed notebook as one HTML file that loads nothing from anywhere and runs no script.

python -m nb_runner.output.report report.html FOLDER < executed.ipynb

FOLDER is the one of the notebook that was executed: pictures in its Markdown are in there.
"""

import os
import sys
from html import escape
from pathlib import Path
from typing import BinaryIO

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbformat import NotebookNode

# nbconvert's page, without its scripts: they would come from another server.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block data_png scoped %}{{ super() | described(cell) }}{% endblock %}
{% block data_jpg scoped %}{{ super() | described(cell) }}{% endblock %}
{% block data_svg scoped %}{{ super() | described(cell) }}{% endblock %}
"""


def described(html: str, cell: NotebookNode) -> str:
    """A picture with the text of its cell: the template of nbconvert leaves that out."""
    alt = cell.metadata.get("alt")
    return html.replace("<img ", f'<img alt="{escape(alt)}" ', 1) if alt else html


def render(notebook: BinaryIO, page: Path, pictures: Path) -> None:
    """Write the page; it appears whole or not at all."""
    exporter = HTMLExporter(
        template_file="report.html.j2",
        extra_loaders=[DictLoader({"report.html.j2": TEMPLATE})],
        embed_images=True,
    )
    exporter.register_filter("described", described)
    html, _ = exporter.from_notebook_node(
        nbformat.reads(notebook.read().decode(), as_version=4),
        resources={"metadata": {"name": page.parent.name, "path": str(pictures)}},
    )
    unfinished = page.with_suffix(f".{os.getpid()}")
    try:
        # "x": what is there already could be a link, which a cell has made.
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(html)
        unfinished.replace(page)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    render(sys.stdin.buffer, *map(Path, sys.argv[1:]))
