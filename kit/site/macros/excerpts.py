"""Code in prose: a whole file of this repository, or one named thing of a Python file."""

import ast
import re
import textwrap
from pathlib import Path

from kit.markdown import fenced
from kit.site.macros.markdown import Problem
from kit.workspace import ROOT

LANGUAGES = {
    ".cfg": "ini",
    ".css": "css",
    ".html": "html",
    ".js": "js",
    ".json": "json",
    ".lua": "lua",
    ".md": "markdown",
    ".py": "python",
    ".sh": "bash",
    ".toml": "toml",
    ".yml": "yaml",
    "Dockerfile": "docker",
}

Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def code(path: str, name: str = "", hl: str = "") -> str:
    """`[[code PATH [NAME] [hl=3-5]]]`: a code block with the path as its title."""
    text = excerpt(path, name)
    marked = highlighted(hl, len(text.splitlines()), path)
    return fenced(text, language(path), title=path, hl_lines=marked)


def excerpt(path: str, name: str = "") -> str:
    """The text of a file, or of one function, class, method or assignment in it."""
    file = ROOT / path
    if not file.is_file() or ".." in file.parts or ROOT not in file.parents:
        raise Problem(f"there is no file {path}")
    text = file.read_text(encoding="utf-8")
    return named(text, name, path) if name else text


def named(text: str, name: str, path: str) -> str:
    """The lines of `name` (or `Class.name`), with its decorators and the comment above it."""
    if Path(path).suffix != ".py":
        raise Problem(f"{path} is not Python, so there is no {name} to be found in it")
    nodes: list[ast.stmt] = ast.parse(text).body
    found: list[Named] = []
    for part in name.split("."):
        found = [node for node in nodes if isinstance(node, Named) and part in _names(node)]
        if len(found) != 1:
            how_many = f"{len(found)} times" if found else "not"
            raise Problem(f"{name} is {how_many} in {path}")
        nodes = list(getattr(found[0], "body", []))
    lines = text.splitlines()
    first = _first_line(found[0], lines)
    return textwrap.dedent("\n".join(lines[first - 1 : found[0].end_lineno]))


def highlighted(hl: str, count: int, path: str) -> str:
    """Line numbers as the highlighter wants them, checked: "1,3-5" becomes "1 3-5"."""
    parts = [part for part in hl.split(",") if part]
    for part in parts:
        if not re.fullmatch(r"\d+(-\d+)?", part):
            raise Problem(f"hl={hl} is not like hl=3 or hl=1,3-5")
        first, _, last = part.partition("-")
        if not 1 <= int(first) <= int(last or first) <= count:
            raise Problem(f"hl={hl} goes beyond the {count} lines of {path}")
    return " ".join(parts)


def language(path: str) -> str:
    """What the highlighter calls it."""
    file = Path(path)
    return LANGUAGES.get(file.suffix) or LANGUAGES.get(file.name, "text")


def _names(node: Named) -> set[str]:
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign):
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    return {node.name}


def _first_line(node: Named, lines: list[str]) -> int:
    """Where it begins: decorators and the comment right above belong to it."""
    decorators = getattr(node, "decorator_list", [])
    first = int(min([node.lineno, *(each.lineno for each in decorators)]))
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first
