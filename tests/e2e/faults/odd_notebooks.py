"""One notebook with everything in it, and what comes of it when one value is odd.

A program as well, for a process of its own in the product's folder: it reads all of them as the
runner does, and executes those that the runner takes. It prints what it has found as JSON.
"""

import asyncio
import copy
import importlib
import json
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

RICH: dict[str, Any] = {
    "cells": [
        {
            "cell_type": "code",
            "id": "one",
            "execution_count": 1,
            "metadata": {
                "tags": ["a"],
                "execution": {"iopub.status.busy": "2026"},
                "jupyter": {},
                "name": "n",
            },
            "source": ["1"],
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}],
        },
        {
            "cell_type": "code",
            "id": "two",
            "execution_count": None,
            "metadata": {"tags": ["skip-execution"]},
            "source": "2",
            "outputs": [
                {"output_type": "display_data", "data": {"text/plain": ["a"]}, "metadata": {}},
                {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["a"]},
            ],
        },
        {
            "cell_type": "markdown",
            "id": "three",
            "metadata": {},
            "source": "x",
            "attachments": {"a.png": {"image/png": "x"}},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}],
        },
    ],
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python", "version": "3"},
        "widgets": {},
        "authors": [{"name": "x"}],
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
ODD: list[Any] = [None, True, -1, 1.5, "", "\ud800", [], [None], ["x"], {}, {"x": None}, DEEP]
DROPPED = object()

Steps = tuple[Any, ...]


def places(value: Any, here: Steps = ()) -> Iterator[Steps]:
    """The way to each value in a JSON value, itself included."""
    yield here
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from places(value[key], (*here, key))


def replaced(value: Any, place: Steps, new: Any) -> Any:
    """A copy with another value in that place, or with none."""
    if not place:
        return new
    value = copy.deepcopy(value)
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    if new is DROPPED:
        del inner[place[-1]]
    else:
        inner[place[-1]] = new
    return value


def all_odd() -> Iterator[tuple[str, Any]]:
    """Every notebook with one odd value, and what it has."""
    for place in places(RICH):
        for odd in [*ODD, DROPPED] if place else ODD:
            kind = "dropped" if odd is DROPPED else ascii(odd)[:20]
            yield f"{'.'.join(map(str, place))}: {kind}", replaced(RICH, place, odd)


async def main() -> None:
    """Read and execute all of them, with one kernel for all."""
    notebook = importlib.import_module("nb_runner.notebook.document")
    plain_text = importlib.import_module("nb_runner.output.plain_text")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    found = Counter[str]()
    faults: list[str] = []
    sockets = tempfile.TemporaryDirectory()  # else they are files in the folder of the product
    manager = AsyncKernelManager(transport="ipc", ip=f"{sockets.name}/s")
    await manager.start_kernel()
    kernel = manager.client()
    kernel.start_channels()
    await kernel.wait_for_ready()

    async def try_one(file: Path) -> str:
        try:
            book = notebook.read(file)
        except notebook.Unusable as unusable:
            assert "\n" not in str(unusable)
            assert len(str(unusable)) < 1000
            return "refused"
        client = NotebookClient(book, km=manager)
        client.kc = kernel
        assert len(notebook.runnable(book)) < 3
        await client.async_execute()
        text = plain_text.Text(whole_lines=True)
        for part in plain_text.parts(book, dict.fromkeys(notebook.runnable(book), 1)):
            text.feed(part)
        text.end()
        nbformat.writes(book).encode()
        return "executed"

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "it.ipynb")
        for kind, written in all_odd():
            file.write_text(json.dumps(written))
            try:
                found[await try_one(file)] += 1
            except CellExecutionError:
                found["executed"] += 1
            except Exception as bug:
                faults.append(f"{kind}: {bug!r}")
    kernel.stop_channels()
    await manager.shutdown_kernel(now=True)
    print(json.dumps({"found": found, "faults": faults}))


if __name__ == "__main__":
    asyncio.run(main())
