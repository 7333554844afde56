"""Runs the project's own tests: on its app as it is, and with a wrong answer to GET /ping.

    python -m kit.grading.programs.own_tests RESULT_FILE

A test that passes in both cases tells nothing. Tests that fail on the app as it is are not run
again. pytest and the app are imported once; each run is forked from there. The result has, for each
run, how many tests have passed, and those that have not: what failed, and with which words.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio.pytest_plugin
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.grading.programs.asgi import app

AS_IT_IS = "as it is"
WRONG = {"another word": (200, "pang"), "another status": (500, "pong")}
DEPTH = 12  # folders: pytest needs 18 s for two thousand in one another, and fails at the 813th
OPTIONS = ["-c", "pyproject.toml", "-p", "no:cacheprovider"]


class WrongPing:
    """The app, with a wrong answer to GET /ping."""

    def __init__(self, app: ASGIApp, status: int, word: str) -> None:
        self._app = app
        self._answer = JSONResponse(word, status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer /ping, and leave the rest to the app."""
        ping = scope["type"] == "http" and scope["path"] == "/ping"
        await (self._answer if ping else self._app)(scope, receive, send)


class Tally:
    """A plugin of pytest: counts, and goes no deeper than `DEPTH` folders."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed: dict[str, str] = {}
        self._deepest = len(Path.cwd().parts) + DEPTH

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """None leaves the decision to pytest."""
        return len(collection_path.parts) > self._deepest or None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported has failed."""
        if report.failed:
            self.failed[report.nodeid] = last_line(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A fixture may fail, too."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            words = crash.message if crash else report.longreprtext
            self.failed[report.nodeid] = words.splitlines()[0] if words else ""
        elif report.when == "call":
            self.passed += report.passed


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("E").strip() if lines else ""


def run(result: Path, answer: tuple[int, str] | None) -> None:
    """Run the tests, in a process of their own, and write what came of them."""
    if answer is not None:
        app().add_middleware(WrongPing, *answer)
    tally = Tally()
    # pytest does not take the path of this folder when it has a `[` in it.
    here = ["."] if "[" in str(Path.cwd()) else []
    # As an object: by its name, pytest would look through all that is installed.
    pytest.main(["-q", *OPTIONS, *here], plugins=[anyio.pytest_plugin, tally])
    result.write_text(json.dumps({"passed": tally.passed, "failed": tally.failed}))


def forked(result: Path, answer: tuple[int, str] | None) -> Any:
    """The same, in a fork. None: it wrote nothing."""
    result.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        try:
            run(result, answer)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with contextlib.suppress(OSError, ValueError):
        return json.loads(result.read_text())
    return None


def main(result: Path) -> None:
    """Run the tests, and run them with each wrong answer if they pass."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with contextlib.suppress(Exception):  # what cannot be imported, the tests say
        app()
        importlib.import_module("fastapi.testclient")
    gc.collect()
    gc.freeze()  # pytest collects garbage five times a run, and looks through all that is alive
    scratch = result.with_name("run.json")
    found = {AS_IT_IS: forked(scratch, None)}
    if found[AS_IT_IS] and not found[AS_IT_IS]["failed"]:
        found |= {name: forked(scratch, answer) for name, answer in WRONG.items()}
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
