"""Every call of the runner's contract, over HTTP against real processes."""

import json
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Gate
from tests.e2e.runner import Runner

pytestmark = pytest.mark.slow

UNKNOWN = "20200101-000000-aaaaaa"


def test_start_answers_202_with_the_queued_run_and_where_to_follow_it(runner: Runner) -> None:
    answer = runner.client.post("/start", json={"requested_by": "ada"})
    run = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/status/{run['run_id']}"
    assert run["status"] == "QUEUED"
    assert run["requested_by"] == "ada"
    assert run["notebook"] == "gated.ipynb"
    assert runner.client.get(answer.headers["Location"]).json()["run_id"] == run["run_id"]


def test_start_needs_no_body(runner: Runner, gate: Gate) -> None:
    gate.open()
    answer = runner.client.post("/start")
    assert answer.status_code == 202
    assert answer.json()["requested_by"] is None


@pytest.mark.parametrize(
    "body", [{"requested_by": "x" * 101}, {"requested_by": 7}, {"who": "ada"}, ["ada"], "ada"]
)
def test_start_refuses_a_body_that_makes_no_sense(runner: Runner, body: Any) -> None:
    assert runner.client.post("/start", json=body).status_code == 422
    assert not runner.client.post("/cancel").is_success, "it must not have started anything"


def test_a_second_start_answers_409_and_names_the_active_run(runner: Runner) -> None:
    run_id = runner.start()
    answer = runner.client.post("/start")
    assert answer.status_code == 409
    assert answer.json()["running"] == run_id
    assert run_id in answer.json()["detail"]
    runner.wait_for(run_id, "RUNNING")
    assert runner.client.post("/start").json()["running"] == run_id


def test_status_follows_a_run_cell_by_cell_to_its_end(runner: Runner, gate: Gate) -> None:
    run_id = runner.start()
    runner.wait_for_cell(run_id, 1)
    run = runner.status(run_id)
    assert (run["status"], run["cells_done"], run["cells_total"]) == ("RUNNING", 1, 3)
    assert run["started_at"] and not run["finished_at"]
    gate.open()
    run = runner.wait_for(run_id, "SUCCEEDED")
    assert run["cells_done"] == 3
    assert run["queued_at"] <= run["started_at"] <= run["finished_at"]
    assert run["error"] is None


def test_status_without_an_id_is_the_newest_run(runner: Runner, gate: Gate) -> None:
    gate.open()
    runner.run()
    newest = runner.run()
    assert runner.client.get("/status").json() == newest


@pytest.mark.parametrize("call", ["/status/{}", "/status/{}/events", "/output/{}"])
@pytest.mark.parametrize(
    "run_id", [UNKNOWN, "..%2F..%2Fetc%2Fpasswd", "%00", "nb:lease", "x" * 500]
)
def test_an_id_that_nobody_started_is_404(runner: Runner, call: str, run_id: str) -> None:
    answer = runner.client.get(call.format(run_id))
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_events_tell_of_each_change_and_end_with_the_run(runner: Runner, gate: Gate) -> None:
    run_id = runner.start()
    runner.wait_for_cell(run_id, 1)
    events = []
    with runner.client.stream("GET", f"/status/{run_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
                gate.open()  # after the first event, so that there is a second one
    assert events[0]["status"] == "RUNNING"
    assert events[0]["cells_done"] == 1
    assert events[-1]["status"] == "SUCCEEDED"
    assert events[-1] == runner.status(run_id)
    assert all(before != after for before, after in pairwise(events))


def test_events_of_an_ended_run_are_one_event(runner: Runner, gate: Gate) -> None:
    gate.open()
    run = runner.run()
    text = runner.client.get(f"/status/{run['run_id']}/events").text
    assert [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event] == [
        run
    ]


def test_cancel_answers_202_and_ends_the_run_and_its_kernel(runner: Runner) -> None:
    run_id = runner.start()
    runner.wait_for_cell(run_id, 1)
    answer = runner.client.post("/cancel")
    assert answer.status_code == 202
    assert answer.json()["run_id"] == run_id
    assert answer.json()["cancel_requested"]
    run = runner.wait_for(run_id, "CANCELLED")
    assert run["reason"] == "cancelled"
    assert "Cell 2 of 3" in run["error"]
    assert runner.client.get(f"/output/{run_id}").text.startswith("before the gate\n")


def test_cancel_answers_409_when_nothing_runs(runner: Runner) -> None:
    answer = runner.client.post("/cancel")
    assert answer.status_code == 409
    assert answer.json() == {"detail": "Nothing is running."}


def test_output_is_text_by_default_and_a_notebook_or_a_page_on_demand(
    runner: Runner, gate: Gate
) -> None:
    gate.open()
    run = runner.run()
    output = f"/output/{run['run_id']}"

    text = runner.client.get(output)
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == f"before the gate\nafter the gate, token {run['token']}\n"

    notebook = runner.client.get(output, params={"format": "ipynb"})
    assert "attachment" in notebook.headers["content-disposition"]
    assert notebook.json()["cells"][0]["outputs"][0]["text"][0].startswith("before the gate")

    page = runner.client.get(output, params={"format": "html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "before the gate" in page.text
    assert "<script" not in page.text
    assert "sandbox" in page.headers["content-security-policy"]

    assert runner.client.get(output, params={"format": "pdf"}).status_code == 422


def test_of_a_run_that_has_not_ended_only_the_text_can_be_had(runner: Runner) -> None:
    run_id = runner.start()
    assert runner.client.get(f"/output/{run_id}").status_code == 200
    for form in ("ipynb", "html"):
        answer = runner.client.get(f"/output/{run_id}", params={"format": form})
        assert answer.status_code == 409
        assert run_id in answer.json()["detail"]


def test_runs_lists_the_last_runs_newest_first(runner: Runner, gate: Gate) -> None:
    gate.open()
    ids = [runner.run()["run_id"] for _ in range(3)]
    listed = runner.client.get("/runs").json()
    assert [run["run_id"] for run in listed[:3]] == ids[::-1]
    assert listed[0] == runner.status(ids[-1])


def test_ping_and_ready(runner: Runner) -> None:
    assert runner.client.get("/ping").json() == "pong"
    ready = runner.client.get("/ready")
    assert ready.status_code == 200
    of_workers = ("database", "artifacts", "temporary", "kernel", "pool")
    assert ready.json() == dict.fromkeys(("redis", "worker", "notebook", *of_workers), "ok")


def metrics(runner: Runner) -> dict[str, float]:
    """Samples by name, with the status where there is one."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(runner.client.get("/metrics").text)
        for sample in family.samples
    }


def test_metrics_count_runs_and_refusals(runner: Runner, gate: Gate) -> None:
    before = metrics(runner)
    run_id = runner.start()
    runner.client.post("/start")
    runner.wait_for_cell(run_id, 1)
    during = metrics(runner)
    gate.open()
    runner.wait_for(run_id, "SUCCEEDED")
    after = metrics(runner)
    assert during["nb_runner_active"] == 1
    assert during["nb_runner_workers"] == 1
    assert during["nb_runner_last_cells_done"] == 1
    assert after["nb_runner_active"] == 0
    assert after["nb_runner_refused_starts_total"] == before["nb_runner_refused_starts_total"] + 1
    succeeded = "nb_runner_runs_total SUCCEEDED"
    assert after[succeeded] == before[succeeded] + 1
    assert after["nb_runner_last_duration_seconds"] > 0


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/"])
def test_pages_for_people_load_nothing_from_elsewhere(runner: Runner, path: str) -> None:
    page = runner.client.get(path)
    assert page.status_code == 200
    assert "//cdn" not in page.text
    assert 'src="http' not in page.text


def test_a_wrong_method_is_405(runner: Runner) -> None:
    assert runner.client.get("/start").status_code == 405
    assert runner.client.get("/cancel").status_code == 405
    assert runner.client.post("/status").status_code == 405
