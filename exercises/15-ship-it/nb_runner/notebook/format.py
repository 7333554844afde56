"""From a file to a notebook on which no later step stumbles, or a sentence that says why not.

nbformat checks what it reads with the schema of the format, but only logs what is wrong. Then a
cell whose tags are null fails in the middle of a run. So the schema decides here.
"""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from nbformat import NotebookNode, ValidationError, convert, from_dict, versions
from nbformat.reader import get_version
from nbformat.validator import get_validator, normalize

MAJOR = 4
# The newest schema that demands no ids of cells: nbformat makes those that are missing.
NEWEST_MINOR = 4
DEEPEST = 100  # levels of lists and objects. Python cannot write back what has some 300 of them.
LONGEST = 300  # characters of a reason: the schema quotes what it does not like, whole


class Unusable(Exception):
    """The notebook cannot be run; its text says why."""


def load(path: Path) -> NotebookNode:
    """The notebook in a file, in today's version of the format.

    Raises:
        Unusable: it is missing, or it is not a notebook.
    """
    try:
        # utf-8-sig: editors of Windows put a byte order mark in front.
        written = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise Unusable(f"There is no notebook at {path} (NOTEBOOK_PATH).") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise Unusable(f"{path} is not a notebook: it is not JSON.") from None
    except RecursionError:
        raise Unusable(f"{path} is not a notebook: it is nested too deep.") from None
    try:
        return _notebook(written)
    except Unusable as unusable:
        raise Unusable(f"{path} is not a notebook: {unusable}.") from None
    except Exception as error:
        # The conversion of an old format has no one exception for what it cannot read.
        why = f"{type(error).__name__}: {str(error)[:LONGEST]}"
        raise Unusable(f"{path} is not a notebook: {why}.") from None


def _notebook(written: Any) -> NotebookNode:
    _check_strings(written)
    if not isinstance(written, dict):
        raise Unusable("it is not a JSON object")
    major, minor = get_version(written)
    if major not in versions:
        raise Unusable(f"version {major!r} of the format is not known"[:LONGEST])
    if major == MAJOR:
        _check_schema(written, minor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ids that are missing or there twice are made anew
        notebook = convert(versions[major].to_notebook_json(written, minor=minor), MAJOR)
        if major != MAJOR:
            _check_schema(notebook, NEWEST_MINOR)
        notebook = normalize(notebook)[1]
    # Of an old format, the nodes are of a class of its own.
    return cast(NotebookNode, from_dict(notebook))


def _check_schema(notebook: dict[str, Any], minor: object) -> None:
    """Additional properties are allowed: newer programs add some, and nothing here reads them."""
    if not isinstance(minor, int):
        raise Unusable("nbformat_minor is not a whole number")
    schema = (MAJOR, min(minor, NEWEST_MINOR), True)
    if any(get_validator(*schema).iter_errors(notebook)):  # fast, and says little
        first = next(get_validator(*schema, name="jsonschema").iter_errors(notebook))
        # A cell is compared with each type of cell: most of those it does not even want to be.
        error = max(
            _causes(first), key=lambda one: (one.validator != "enum", len(one.absolute_path))
        )
        raise Unusable(f"{_place(error.absolute_path)}: {error.message[:LONGEST]}")


def _causes(error: ValidationError) -> Iterator[ValidationError]:
    """What an error comes from: all that each of its alternatives has against the notebook."""
    for cause in error.context:
        yield from _causes(cause)
    if not error.context:
        yield error


def _check_strings(value: object, *place: object) -> None:
    """Refuse what could be read, but neither be sent to a kernel nor be written to a file."""
    if len(place) > DEEPEST:
        raise Unusable("it is nested too deep")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unusable(f"{_place(place)} has half of a character in it") from None
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_strings(key, *place)
            _check_strings(inner, *place, key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_strings(inner, *place, number)


def _place(steps: Any) -> str:
    """Where in the notebook: cells[2].metadata.tags."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return place.removeprefix(".") or "the notebook"
