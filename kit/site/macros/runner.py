"""The finished runner's calls and settings, asked of the runner itself, in a process of its own."""

import functools
import json
import os
import re
import subprocess
import sys
from typing import Any

from kit.course import catalogue
from kit.markdown import code, table
from kit.site.macros.markdown import Problem

# The package is called nb_runner in all exercises, so it cannot be imported here.
TELL = """
import json
from nb_runner.config import Settings
from nb_runner.main import app

def told(field):
    default = None if field.is_required() or field.default is None else str(field.default)
    return {"required": field.is_required(), "default": default, "allowed": field.description}

settings = {name.upper(): told(field) for name, field in Settings.model_fields.items()}
print(json.dumps({"openapi": app.openapi(), "settings": settings}))
"""
OK = "Successful Response"  # FastAPI's own description
METHODS = ("get", "post", "put", "patch", "delete")


@functools.cache
def facts() -> dict[str, Any]:
    """`openapi`, the runner's OpenAPI document, and `settings`, what can be set."""
    runner = catalogue.product().solution
    told = subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=runner,
        env={**os.environ, "NOTEBOOK_PATH": "notebook.ipynb", "PYTHONPATH": str(runner)},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise Problem(f"the runner does not tell of itself: {told.stderr.strip()}")
    facts: dict[str, Any] = json.loads(told.stdout)
    return facts


def environment() -> str:
    """`[[environment]]`: each setting, what it is, what is allowed, and its default."""
    meanings = _meanings()
    return "\n\n".join(
        _setting(name, field, meanings) for name, field in facts()["settings"].items()
    )


def _setting(name: str, field: dict[str, Any], meanings: dict[str, str]) -> str:
    if name not in meanings:
        runner = f"solutions/{catalogue.product().slug}"
        raise Problem(f"the README of {runner} does not tell of {name}")
    default = f"By default {code(field['default'])}." if field["default"] else "Unset by default."
    default = "**Must be set.**" if field["required"] else default
    anchor = name.lower().replace("_", "-")
    told = f"{_sentence(meanings[name])}. {default} Allowed: {field['allowed']}."
    return f"{code(name)} {{ #{anchor} }}\n:   {told}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def api(*, level: int) -> str:
    """`[[api]]`: a section for each call, then one for each kind of object."""
    document = facts()["openapi"]
    marks = "#" * (level + 1)
    parts = [
        _call(method, path, told, marks)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
        if method in METHODS
    ]
    parts += [_object(name, schema, marks) for name, schema in sorted(_objects().items())]
    return "\n\n".join(parts)


def _call(method: str, path: str, told: dict[str, Any], marks: str) -> str:
    anchor = re.sub(r"\W+", "-", f"{method}{path}").strip("-")
    parts = [f"{marks} `{method.upper()} {path}` {{ #{anchor} }}", told.get("description", "")]
    asks = [
        (code(each["name"]), each["in"], _type(each["schema"], each["schema"].get("default")))
        for each in told.get("parameters", [])
    ]
    if body := told.get("requestBody"):
        need = "" if body.get("required") else ", optional"
        schema = body["content"]["application/json"]["schema"]
        asks.append(("", f"body{need}", _type(schema)))
    if asks:
        parts.append(table(("Parameter", "Where", "What"), asks))
    answers = [
        (status, _what(answer), _content(answer))
        for status, answer in sorted(told["responses"].items())
    ]
    parts.append(table(("Answer", "When", "Body"), answers))
    return "\n\n".join(filter(None, parts))


def _what(answer: dict[str, Any]) -> str:
    text = str(answer["description"])
    if text == OK:
        return "It worked"
    return "A parameter or the body is not as it should be" if text == "Validation Error" else text


def _content(answer: dict[str, Any]) -> str:
    """What comes back, and as what when that is not JSON."""
    parts = []
    for media, told in answer.get("content", {}).items():
        event = told.get("itemSchema", {}).get("properties", {}).get("data", {})
        schema = told.get("schema") or event.get("contentSchema")
        kind = _type(schema) if schema else ""
        label = "" if media == "application/json" and kind else code(media)
        parts.append(f"{label}: {kind}" if label and kind else label or kind)
    return ", ".join(parts)


def _type(schema: dict[str, Any], default: object = None) -> str:
    """A schema in a few words."""
    if default is not None:
        return f"{_type(schema)}, by default {code(str(default))}"
    name = schema.get("$ref", schema.get("title", "")).rpartition("/")[2]
    if name in _objects():
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return _words(schema)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return _plain(schema)


def _words(schema: dict[str, Any]) -> str:
    return " · ".join(code(str(value)) for value in schema["enum"])


def _plain(schema: dict[str, Any]) -> str:
    bounds = {
        "minLength": "at least {} long",
        "maxLength": "at most {} long",
        "format": "{}",
        "pattern": "matches `{}`",
    }
    told = [words.format(schema[key]) for key, words in bounds.items() if key in schema]
    return ", ".join([str(schema.get("type", "anything")), *told])


def _object(name: str, schema: dict[str, Any], marks: str) -> str:
    """A kind of object, or a list of words."""
    head = f"{marks} {name} {{ #{name.lower()} }}"
    text = schema.get("description", "")
    if "enum" in schema:
        return "\n\n".join(filter(None, [head, text, _words(schema)]))
    rows = [
        (code(field), _type(told), told.get("description", ""))
        for field, told in schema.get("properties", {}).items()
    ]
    return "\n\n".join(filter(None, [head, text, table(("Field", "Type", "Meaning"), rows)]))


@functools.cache
def _objects() -> dict[str, Any]:
    """The kinds of object by name; also the one that the document spells out at each answer."""
    document = facts()["openapi"]
    answers = [
        answer["content"].get("application/json", {}).get("schema", {})
        for methods in document["paths"].values()
        for call in methods.values()
        for answer in call["responses"].values()
        if "content" in answer
    ]
    spelled_out = {each["title"]: each for each in answers if "properties" in each}
    return {**document["components"]["schemas"], **spelled_out}


def _meanings() -> dict[str, str]:
    """Of the README's table of settings: what each one is."""
    readme = (catalogue.product().solution / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \|[^|]*\|([^|]*)\|$", readme, re.MULTILINE)
    return {name: meaning.strip() for name, meaning in rows}
