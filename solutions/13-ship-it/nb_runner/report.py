"""An executed notebook as one HTML file that loads nothing from anywhere and runs no script.

python -m nb_runner.report executed.ipynb report.html
"""

import os
import sys
from pathlib import Path

from jinja2 import DictLoader
from nbconvert import HTMLExporter

# nbconvert's page, without its scripts: they would come from another server.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
"""


def render(notebook: Path, page: Path) -> None:
    """Write the page; it appears whole or not at all."""
    exporter = HTMLExporter(
        template_file="report.html.j2",
        extra_loaders=[DictLoader({"report.html.j2": TEMPLATE})],
        embed_images=True,
    )
    html, _ = exporter.from_filename(str(notebook))
    unfinished = page.with_suffix(f".{os.getpid()}")
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(page)


if __name__ == "__main__":
    render(Path(sys.argv[1]), Path(sys.argv[2]))
