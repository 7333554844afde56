"""What to do when a part that tests need is not on this machine."""

import os
import sys
from typing import NoReturn

import pytest

from kit.sandbox.bubblewrap import SWITCH, protection


def absent(what: str) -> NoReturn:
    """Leave the test out, and say for lack of what. CI has everything, so there it fails."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def needs_sandbox() -> pytest.MarkDecorator:
    """For tests of what only a sandbox promises. CI has one, unless it was told to do without."""
    told = protection()
    wanted = bool(os.environ.get("CI")) and sys.platform == "linux" and not os.environ.get(SWITCH)
    # In CI the test is run all the same, and fails.
    return pytest.mark.skipif(not told.full and not wanted, reason=told.sentence)
