"""The pytest plugin behind the graders: whose project, which task, and what came of it.

pytest tests/graders                        grades the solutions
pytest tests/graders/test_02_…py --submission DIR
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from kit.errors import KitError
from kit.grading import values
from kit.grading.failure import Wrong, clipped
from kit.grading.options import GraderOptions
from kit.grading.verdict import Problem, ProblemCode, TestReport
from kit.workspace import workspace

notes = pytest.StashKey[list[str]]()
_options = pytest.StashKey[GraderOptions]()


class OptionsPlugin:
    """A second plugin, which brings the options of one check: `pytest.main(…, plugins=[…])`."""

    def __init__(self, options: GraderOptions) -> None:
        self._options = options

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[_options] = self._options


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workshop")
    group.addoption("--submission", metavar="DIR", type=Path, help="The project to grade.")
    group.addoption("--verdict", metavar="FD", type=int, help="Write a JSON line for each test.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'task(number): the task that the test belongs to, as "7.1"')


@pytest.fixture(scope="module")
def submission(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The project to grade: --submission, or the solution that the grader's name tells."""
    from kit.grading.submission import Submission  # heavy, and this plugin is always loaded

    folder = request.config.getoption("--submission")
    if folder is None:
        slug = request.path.stem.removeprefix("test_").replace("_", "-")
        folder = workspace().solutions / slug
    options = request.config.stash.get(_options, None) or GraderOptions.from_env(os.environ)
    values.forget()
    with Submission(folder, options) as project:
        yield project


@pytest.fixture
def observe(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tell the learner something that is worth knowing and nobody's fault."""
    seen: list[str] = request.node.stash.setdefault(notes, [])
    return seen.append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    tell = item.config.getoption("--verdict")
    task = item.get_closest_marker("task")
    if tell is not None and task and (report.when == "call" or not report.passed):
        error = call.excinfo.value if call.excinfo else None
        seen: list[str] = item.stash.get(notes, [])
        test = TestReport(
            task=task.args[0],
            passed=report.passed,
            notes=tuple(seen),
            failure=error.failure if isinstance(error, Wrong) else None,
            # Anything but Wrong is a mistake of ours, or of the environment, not the learner's.
            problem=None if error is None or isinstance(error, Wrong) else _problem(error),
            values=values.noted(),
        )
        _tell(tell, {"test": asdict(test)})
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell how many tests each task has: it has passed when all of them have."""
    tell = session.config.getoption("--verdict")
    marks = [item.get_closest_marker("task") for item in session.items]
    if tell is not None:
        _tell(tell, {"tests": Counter(mark.args[0] for mark in marks if mark)})


def _problem(error: BaseException) -> Problem:
    if isinstance(error, KitError):
        return Problem(ProblemCode(error.code), clipped(error.message))
    return Problem(ProblemCode.GRADER_ERROR, clipped(f"{error}" or repr(error)))


def _tell(tell: int, line: dict[str, Any]) -> None:
    with os.fdopen(tell, "w", closefd=False, encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
