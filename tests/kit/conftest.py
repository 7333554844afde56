"""A learner, for the tests of several packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.learner import Learner


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    """Somebody at the start of a small course. In the end, nothing of theirs runs."""
    learner = Learner(tmp_path)
    yield learner
    assert learner.mark.commands() == []
