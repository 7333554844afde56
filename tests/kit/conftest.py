"""The fixture `learner`, for the tests of several packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.learner import Learner


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    """A learner at the start of a small course. At the end, no process of its commands is left."""
    learner = Learner(tmp_path)
    yield learner
    assert learner.mark.commands() == []
