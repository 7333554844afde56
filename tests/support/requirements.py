"""Tests that need a program, a network or a sandbox which this machine does not have."""

import os
import sys
from typing import NoReturn

import pytest

from kit.sandbox.bubblewrap import SANDBOX_VARIABLE, protection


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test. In CI it fails instead: CI installs everything that the tests need."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def needs_sandbox() -> pytest.MarkDecorator:
    """Mark a test of something that only a sandbox promises. Without a sandbox it is skipped.

    In CI on Linux the test runs in any case, and fails where the sandbox does not work: CI has
    one, unless it was told to do without.
    """
    found = protection()
    required = (
        bool(os.environ.get("CI"))
        and sys.platform == "linux"
        and not os.environ.get(SANDBOX_VARIABLE)
    )
    return pytest.mark.skipif(not found.full and not required, reason=found.sentence)
