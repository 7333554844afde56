"""The fixture `learner`, for the tests of several packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.learner import Learner
from tests.support.processes import eventually


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    """A learner at the start of a small course. At the end, no process of its commands is left."""
    learner = Learner(tmp_path)
    yield learner
    # A fork server ends by itself, a moment after the command that has started it.
    eventually(lambda: learner.mark.commands() == [], "everything to end", 10)
