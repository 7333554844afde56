"""Texts of a project that people read: whether they can be read, and whether they tell too much."""

import ast
import re
from http import HTTPStatus
from typing import Any

from kit.grading.api import Answer

LOCAL = "127.0.0.1"  # the address of the grader, which is the project's client
NAMES = re.compile(r"^(?:[\w.]+: )+")  # the name of an exception, before its message
OBJECT = re.compile(r"<[\w.]+ object at 0x")


def readable(text: Any) -> bool:
    """Whether it is text of two words or more, and not an object as Python prints it."""
    if not isinstance(text, str):
        return False
    message = NAMES.sub("", text.strip())
    return len(message.split()) > 1 and not OBJECT.search(message) and not _is_repr(message)


def _is_repr(text: str) -> bool:
    try:
        expression = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return isinstance(
        expression, ast.Tuple | ast.List | ast.Dict | ast.Set | ast.Call | ast.Constant
    )


def require_own_detail(answer: Answer, why: str, where: str) -> None:
    """Raise Wrong if `detail` is empty, or only the words that FastAPI puts there by itself."""
    detail = answer.field("detail", where)
    if not detail or detail == HTTPStatus(answer.status).phrase:
        answer.wrong(f"{answer.status} with words of your own in `detail`: {why}", where)


def tells_client(text: str) -> bool:
    """Whether the text has the address of the client in it, other than in a URL of the API."""
    return LOCAL in re.sub(rf"\w+://{re.escape(LOCAL)}", "", text)


def require_no_client(answer: Answer, where: str) -> None:
    """Raise Wrong if the answer tells the address of its client."""
    if tells_client(answer.text):
        answer.wrong("a run without what is only kept: the client's address", where)
