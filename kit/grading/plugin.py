"""The pytest plugin of the graders: the project to grade, the tasks, and a report of each test.

pytest tests/graders                        grades the solutions
pytest tests/graders/test_02_…py --submission DIR
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from kit.errors import KitError
from kit.grading.options import GraderOptions
from kit.verdicts import values
from kit.verdicts.failure import Wrong, clipped
from kit.verdicts.verdict import Problem, ProblemCode, TestReport
from kit.workspace import workspace

notes = pytest.StashKey[list[str]]()
_options = pytest.StashKey[GraderOptions]()


class OptionsPlugin:
    """A second plugin, which brings the options of one check: `pytest.main(…, plugins=[…])`."""

    def __init__(self, options: GraderOptions) -> None:
        self._options = options

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[_options] = self._options


class CollectedIn:
    """A plugin that has pytest find tests from a folder, and the tests run where we are now."""

    def __init__(self, folder: Path) -> None:
        self._here = os.open(".", os.O_RDONLY)  # not its name, which may be gone
        os.chdir(folder)

    def pytest_collection_finish(self) -> None:
        os.fchdir(self._here)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workshop")
    group.addoption("--submission", metavar="DIR", type=Path, help="The project to grade.")
    group.addoption("--verdict", metavar="FD", type=int, help="Write a JSON line for each test.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'task(number): the task that the test belongs to, as "7.1"')


@pytest.fixture(scope="session")
def grader_options(request: pytest.FixtureRequest) -> GraderOptions:
    """The options of this check; those of the environment, where nothing else is said."""
    return request.config.stash.get(_options, None) or GraderOptions.from_env(os.environ)


@pytest.fixture(scope="module")
def submission(request: pytest.FixtureRequest, grader_options: GraderOptions) -> Iterator[Any]:
    """The project to grade: --submission, or the solution that the grader is named after."""
    from kit.grading.submission import Submission  # heavy, and this plugin is always loaded

    folder = request.config.getoption("--submission")
    if folder is None:
        slug = request.path.stem.removeprefix("test_").replace("_", "-")
        folder = workspace().solutions / slug
    values.forget()
    with Submission(folder, grader_options) as project:
        yield project


@pytest.fixture
def observe(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A function that adds a note to the verdict: worth knowing, and no failure."""
    observations: list[str] = request.node.stash.setdefault(notes, [])
    return observations.append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    verdict_fd = item.config.getoption("--verdict")
    task = item.get_closest_marker("task")
    if verdict_fd is not None and task and (report.when == "call" or not report.passed):
        error = call.excinfo.value if call.excinfo else None
        observations: list[str] = item.stash.get(notes, [])
        test = TestReport(
            task=task.args[0],
            passed=report.passed,
            notes=tuple(observations),
            failure=replace(error.failure, test=_name(item)) if isinstance(error, Wrong) else None,
            # Any other exception is a bug of the grader, or a fault of the environment.
            problem=None if error is None or isinstance(error, Wrong) else _problem(error),
            values=values.noted(),
        )
        _write_line(verdict_fd, {"test": asdict(test)})
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Report how many tests each task has. A task has passed when all its tests have passed."""
    verdict_fd = session.config.getoption("--verdict")
    marks = [item.get_closest_marker("task") for item in session.items]
    if verdict_fd is not None:
        _write_line(verdict_fd, {"tests": Counter(mark.args[0] for mark in marks if mark)})


def _name(item: pytest.Item) -> str:
    """The test function's name, without the parameters."""
    return item.originalname if isinstance(item, pytest.Function) else item.name


def _problem(error: BaseException) -> Problem:
    if isinstance(error, KitError):
        return Problem(ProblemCode(error.code), clipped(error.message))
    return Problem(ProblemCode.GRADER_ERROR, clipped(f"{error}" or repr(error)))


def _write_line(verdict_fd: int, line: dict[str, Any]) -> None:
    with os.fdopen(verdict_fd, "w", closefd=False, encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
