"""What is no test of ours, and what several test modules use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.learner import Learner

collect_ignore = ["fixtures"]  # its graders belong to the course in it


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    """Somebody at the start of a small course. In the end, nothing of theirs runs."""
    learner = Learner(tmp_path)
    yield learner
    assert learner.mark.commands() == []
