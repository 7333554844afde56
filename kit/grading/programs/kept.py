"""Whether the project keeps the address of a client: POST /start, then a look into its memory.

    python -m kit.grading.programs.kept RESULT_FILE

The project's modules are searched for a field `client` that has the address: an attribute or a key
of any object that can be reached from there. What the project calls its records does not matter.
"""

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from kit.grading.programs.asgi import Post, app, started

ADDRESS = "192.0.2.7"  # from the block for documentation: nothing else has it
FIELD = "client"
LEAVES = (ModuleType, str, bytes, int, float)
MOST = 100_000  # objects to look at


async def start_a_run() -> int | None:
    """Send POST /start. Returns the status of the answer."""
    project = app()
    async with started(project):
        post = Post("/start", {"seconds": 0}, client=ADDRESS)
        await post.send(project)
    return post.status


def kept() -> bool:
    """Whether a field `client` of something that the project keeps has the address."""
    modules = [module for name, module in list(sys.modules.items()) if is_ours(name)]
    waiting: deque[Any] = deque(vars(module) for module in modules)
    seen: dict[int, Any] = {}  # with the objects, so that no id is used again
    while waiting and len(seen) < MOST:
        thing = waiting.popleft()  # near things first: the rest is FastAPI's
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        for name, value in parts(thing):
            if name == FIELD and ADDRESS in str(value):
                return True
            if not isinstance(value, LEAVES):
                waiting.append(value)
    return False


def parts(thing: Any) -> Iterator[tuple[Any, Any]]:
    """What an object holds, with the names of keys and attributes. Of classes, only the project's.

    Nothing is computed: properties stay alone, and what classes of FastAPI and pydantic have.
    """
    if isinstance(thing, type) and not is_ours(thing.__module__):
        return
    if isinstance(thing, (dict, MappingProxyType)):
        yield from list(thing.items())
    elif isinstance(thing, (list, tuple, set, frozenset, deque)):
        yield from [(None, each) for each in thing]
    with contextlib.suppress(Exception):  # a stand-in of pydantic raises at any attribute
        yield from list(vars(thing).items())
    for name in vars(type(thing)).get("__slots__", ()):
        if is_ours(type(thing).__module__) and hasattr(thing, name):
            yield name, getattr(thing, name)


def is_ours(module: str) -> bool:
    """Whether a module is the project's."""
    return module.partition(".")[0] == "nb_runner"


if __name__ == "__main__":
    status = asyncio.run(start_a_run())
    Path(sys.argv[1]).write_text(json.dumps({"status": status, "kept": kept()}))
