"""What those who operate the runner see: logs, measures, and a run that takes too long."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.runner import Runner, start_runner, write_notebook

pytestmark = [pytest.mark.slow]


def metrics(runner: Runner) -> dict[str, float]:
    """By name, or name and upper bound."""
    families = text_string_to_metric_families(runner.client.get("/metrics").text)
    return {
        sample.name + (f" {sample.labels['le']}" if "le" in sample.labels else ""): sample.value
        for family in families
        for sample in family.samples
    }


def lines(text: str) -> list[dict[str, Any]]:
    """Those that are objects: Celery's banner and the system's warnings are none."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_each_line_of_a_run_names_it_and_who_asked_for_it_and_the_measures_count_it(
    tmp_path: Path,
) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "print('hello')")
    env = {"LOG_FORMAT": "json"}
    with start_runner(tmp_path, notebook=notebook, api=2, env=env) as runner:
        none = metrics(runner)
        assert none["nb_runner_run_duration_seconds_count"] == 0
        assert "nb_runner_seconds_since_last_success" not in none
        run_id = runner.start(requested_by="ada")
        runner.wait_for(run_id, "SUCCEEDED")
        told = [metrics(runner) for _ in range(6)]
        for each in told:
            assert each["nb_runner_run_duration_seconds_count"] == 1
            assert each["nb_runner_run_duration_seconds_bucket +Inf"] == 1
            assert each["nb_runner_run_duration_seconds_bucket 3600.0"] == 1
            assert each["nb_runner_run_duration_seconds_sum"] > 0
            assert each["nb_runner_queue_wait_seconds_count"] == 1
            assert 0 <= each["nb_runner_seconds_since_last_success"] < 600
        api = [line for one in runner.apis for line in lines(one.output())]
        worker = lines(runner.workers[0].output())
    of_the_start = [line for line in api if "POST /start" in line["message"]]
    assert [(line["run_id"], line["requested_by"]) for line in of_the_start] == [(run_id, "ada")]
    ended = [line for line in worker if f"Run {run_id} SUCCEEDED" in line["message"]]
    assert [(line["run_id"], line["requested_by"]) for line in ended] == [(run_id, "ada")]
    received = [line for line in worker if line["message"].endswith("received")]
    assert [line["run_id"] for line in received] == [run_id]
    assert all({"time", "level", "logger"} <= line.keys() for line in api + worker)


def test_a_run_that_takes_longer_than_run_timeout_is_ended(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "it.ipynb", "print('first')", "while True: pass")
    with start_runner(tmp_path, notebook=notebook, env={"RUN_TIMEOUT": "1"}) as runner:
        run = runner.run("FAILED")
        assert run["reason"] == "run_timeout"
        assert run["error"].startswith("The run took longer than RUN_TIMEOUT.")
        assert "Cell 2 of 2" in run["error"]
        assert runner.client.get(f"/output/{run['run_id']}").text.startswith("first\n")
        text = runner.workers[0].output()
    assert f"[run_id='{run['run_id']}']" in text, "as text, too, a line names its run"
