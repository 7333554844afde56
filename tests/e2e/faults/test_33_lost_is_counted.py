"""Number 33: a run that is LOST counts at once, and not when the next one is started."""

from pathlib import Path

import pytest

from tests.e2e.runner import Runner, start_runner

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

COUNTER = 'nb_runner_runs_total{status="LOST"}'


def lost(runner: Runner) -> float:
    lines = runner.client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(COUNTER))


def test_33_a_lost_run_is_counted_without_another_start(tmp_path: Path) -> None:
    with start_runner(tmp_path, workers=0, env={"LEASE_SECONDS": "2"}) as runner:
        assert lost(runner) == 0
        run_id = runner.start()
        runner.wait_for(run_id, "LOST")
        assert [lost(runner), lost(runner)] == [1, 1]
        next_run = runner.start()
        assert lost(runner) == 1, "and not a second time"
        runner.wait_for(next_run, "LOST")
        assert lost(runner) == 2
