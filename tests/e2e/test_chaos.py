"""A minute of faults at random; `python -m tests.e2e.chaos` does it for ten."""

import os
import random
from pathlib import Path

import pytest

from tests.e2e.chaos import run_chaos

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unforked")  # it looks for what is left by its environment
def test_nothing_that_must_hold_breaks_in_a_minute_of_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    replay = f"CHAOS_SEED={seed} make thorough ARGS=tests/e2e/test_chaos.py"
    print(f"The same again: {replay}")
    counts = run_chaos(tmp_path, seed, 60, print)
    assert counts["writes"] > 0
    assert counts["POST /start 202"] > 1
    assert counts["POST /start 409"] > 1
