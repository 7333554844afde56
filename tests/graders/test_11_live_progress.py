"""Exercise 11: live progress of a run, and the executed notebook at its end."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.grading.api import PORT, Api
from kit.grading.runner.probe import Probe, ProbeRun, gate
from kit.grading.runner.runs import ENDED, STATUS_POLL_INTERVAL
from kit.grading.sse import Events
from kit.grading.submission import Submission
from kit.grading.texts import tells_client
from kit.verdicts.failure import Wrong, require

EVENTS = "nb_runner/main.py: events()"
PROGRESS = "nb_runner/executor.py: run(), and nb_runner/runs.py: get()"
KEPT = "nb_runner/executor.py: run()"
OUTPUT = "nb_runner/main.py: output()"
CELLS = 3
FORM_TIMEOUT = 5.0  # seconds between a line of data and the end of its event

WHY = "no flight left"
ORDERED = f"""
if orders["mode"] == "raise":
    raise LookupError(f"{WHY} from {{mark}}")
"""


@pytest.fixture(scope="module")
def probe(submission: Submission) -> Probe:
    second = gate("one") + ORDERED
    return Probe(submission, "# Delays", second, "# The end", gate("two"))


@dataclass(frozen=True)
class Folder:
    """The folder that ARTIFACTS_DIR names. It is not there before the project starts."""

    path: Path
    made_at_start: bool  # by the project


@pytest.fixture(scope="module")
def apis(submission: Submission, probe: Probe) -> list[Api]:
    """Two API processes, on a port each. Both have to know every run."""
    submission.stack.env["NOTEBOOK_PATH"] = str(probe.path)
    return submission.up_apart({}, {}, workers=1)


@pytest.fixture(scope="module")
def folder(submission: Submission, apis: list[Api]) -> Folder:
    """It is made for the first run. So a project that does not make it fails task 11.3 only."""
    path = Path(submission.env()["ARTIFACTS_DIR"])
    made_at_start = path.is_dir()
    path.mkdir(parents=True, exist_ok=True)
    return Folder(path, made_at_start)


@pytest.fixture(scope="module")
def waiting_run(apis: list[Api], probe: Probe, folder: Folder) -> tuple[str, str]:
    """A run whose second cell waits until the grader opens the gate: its id and its mark."""
    run_id, mark = probe.begin(apis[0], mode="good")
    probe.wait_at("one", mark)
    return run_id, mark


@pytest.fixture(scope="module")
def good(apis: list[Api], probe: Probe, waiting_run: tuple[str, str]) -> ProbeRun:
    """The same run at its end."""
    probe.open("one")
    probe.open("two")
    return probe.follow(apis[0], *waiting_run)


@pytest.fixture(scope="module")
def failed(apis: list[Api], probe: Probe, good: ProbeRun, folder: Folder) -> ProbeRun:
    """The second run, in which a cell raises.

    The folder for its notebook is not there, unless the project has made it when it started.
    """
    aside = folder.path.with_name("aside")
    if not folder.made_at_start:
        folder.path.rename(aside)
    try:
        return probe.run(apis[0], mode="raise")
    finally:
        if aside.exists() and folder.path.exists():  # both runs' notebooks into one folder
            shutil.copytree(folder.path, aside, dirs_exist_ok=True)
            shutil.rmtree(folder.path)
            aside.rename(folder.path)


def require_cells_done(api: Api, run_id: str, done: int, why: str, or_done: int = -1) -> None:
    """Raise Wrong unless /status reports so many finished cells in time."""
    deadline = time.monotonic() + 10
    while True:
        answer = api.get(f"/status/{run_id}").expect(200, "the run is known", PROGRESS)
        cells = (answer.field("cells_done", PROGRESS), answer.field("cells_total", PROGRESS))
        if cells in ((done, CELLS), (or_done, CELLS)):
            return
        if time.monotonic() > deadline:
            expected = f'"cells_done": {done}, "cells_total": {CELLS}: {why}'
            answer.wrong(expected, PROGRESS)
        time.sleep(STATUS_POLL_INTERVAL)


@pytest.mark.task("11.1")
def test_the_status_says_how_far_the_run_is(apis: list[Api], waiting_run: tuple[str, str]) -> None:
    why = "the notebook has three cells of code, of which the second waits"
    require_cells_done(apis[0], waiting_run[0], 1, why)


@pytest.mark.task("11.2")
def test_any_api_process_has_the_events(apis: list[Api], waiting_run: tuple[str, str]) -> None:
    # The API process that did not start the run.
    with Events(apis[1], f"/status/{waiting_run[0]}/events", EVENTS) as events:
        if events.status != 200:
            events.wrong("200 OK, and events", f"{events.status}")


@pytest.mark.task("11.2")
def test_the_stream_has_the_form_of_events(apis: list[Api], waiting_run: tuple[str, str]) -> None:
    path = f"/status/{waiting_run[0]}/events"
    with Events(apis[1], path, EVENTS, read_timeout=FORM_TIMEOUT) as events:
        if not events.type.startswith("text/event-stream"):
            events.wrong("the content type text/event-stream", events.type)
        try:
            events.until_any("an event: data, and an empty line after it")
        except Wrong:
            if events.unfinished:
                raise  # when there is no data at all, the next test says so


@pytest.mark.task("11.2")
def test_events_come_while_the_run_goes_on(
    apis: list[Api], probe: Probe, waiting_run: tuple[str, str]
) -> None:
    with Events(apis[1], f"/status/{waiting_run[0]}/events", EVENTS) as events:
        events.until("an event with where the run is now", status="RUNNING", cells_done=1)
        if tells_client(json.dumps(events.received)):
            events.wrong("events without what is only kept: the client's address")
        probe.open("one")
        expected = "an event once the second cell is done"
        events.until(expected, status="RUNNING", cells_done=2, cells_total=CELLS)
        probe.open("two")
        events.until_any("a last event at the run's end", status=ENDED)
        events.rest("the end of the stream (the run has ended)")
        last = events.received[-1]
        run = apis[1].get(f"/status/{waiting_run[0]}").object(EVENTS)
        if lacking := sorted(run.keys() - last.keys()):
            events.wrong(f"the run as /status shows it, with {', '.join(lacking)}")


@pytest.mark.task("11.1")
def test_at_the_end_all_cells_are_done(apis: list[Api], good: ProbeRun) -> None:
    if good.status != "SUCCEEDED":
        good.answer.wrong('"status": "SUCCEEDED" (no cell raised)', PROGRESS)
    why = "the run has ended, and the numbers stay"
    require_cells_done(apis[1], good.run_id, CELLS, why)


@pytest.mark.task("11.2")
def test_events_of_a_run_that_has_ended(apis: list[Api], good: ProbeRun) -> None:
    with Events(apis[0], f"/status/{good.run_id}/events", EVENTS) as events:
        events.until("one event that tells how the run ended", status=good.status)
        events.rest("the end of the stream (the run has ended)")


@pytest.mark.task("11.2")
def test_events_of_an_unknown_run(apis: list[Api]) -> None:
    with Events(apis[0], "/status/nosuchrun/events", EVENTS) as events:
        if events.status != 404:
            expected = "404 Not Found: it has to be known before the stream begins"
            events.wrong(expected, f"{events.status}, {events.type}")


def executed(api: Api, run: ProbeRun) -> list[str]:
    """The outputs of each code cell in the downloaded notebook of a run."""
    answer = api.get(f"/output/{run.run_id}?format=ipynb")
    answer.expect(200, "the run has ended", OUTPUT)
    try:
        cells = answer.object(OUTPUT)["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        outputs = [str(cell["outputs"]) for cell in code]
    except (KeyError, TypeError):
        answer.wrong("a notebook: JSON with `cells`, each with its `outputs`", OUTPUT)
    if len(outputs) != CELLS:
        answer.wrong(f"a notebook of {CELLS} code cells", OUTPUT, f"{len(outputs)} of them")
    return outputs


@pytest.mark.task("11.3")
def test_the_executed_notebook_can_be_downloaded(apis: list[Api], good: ProbeRun) -> None:
    outputs = executed(apis[1], good)
    did = f"curl 'http://127.0.0.1:{PORT}/output/{good.run_id}?format=ipynb'"
    for output, printed in zip(outputs, ("begun", "through one", "through two"), strict=True):
        expected = f"the notebook as it was executed: a cell printed '{printed} {good.mark}'"
        require(f"{printed} {good.mark}" in output, did, expected, f"its output is {output}", KEPT)


@pytest.mark.task("11.3")
def test_without_a_format_the_output_is_what_it_was(apis: list[Api], good: ProbeRun) -> None:
    answer = output_object(apis[1], good)
    if answer.get("run_id") != good.run_id:
        did = f"curl http://127.0.0.1:{PORT}/output/{good.run_id}"
        raise Wrong(did, "the run's output as before, with its `run_id`", str(answer), OUTPUT)


def output_object(api: Api, run: ProbeRun) -> dict[str, Any]:
    return api.get(f"/output/{run.run_id}").expect(200, "the run has ended", OUTPUT).object(OUTPUT)


@pytest.mark.task("11.3")
def test_it_is_kept_where_api_and_worker_both_look(submission: Submission, good: ProbeRun) -> None:
    folder = Path(submission.env()["ARTIFACTS_DIR"])
    kept = [file for file in folder.rglob("*") if file.is_file()]
    expected = "the executed notebook in the folder that ARTIFACTS_DIR names"
    found = any(good.mark in file.read_text(errors="replace") for file in kept)
    got = f"files there: {', '.join(file.name for file in kept) or 'none'}"
    require(found, f"ARTIFACTS_DIR={folder}; ls $ARTIFACTS_DIR", expected, got, KEPT)


@pytest.mark.task("11.3")
def test_the_folder_is_made_when_it_is_not_there(folder: Folder, failed: ProbeRun) -> None:
    did = f"ARTIFACTS_DIR={folder.path}   # which was not there, and then a run"
    expected = "the folder, made by the code that writes the notebook into it"
    kept = folder.path.is_dir() or WHY in failed.error
    require(kept, did, expected, f"no folder. The run: {failed.answer}", KEPT)


@pytest.mark.task("11.3")
def test_a_failed_run_leaves_its_notebook_too(apis: list[Api], failed: ProbeRun) -> None:
    if failed.status != "FAILED":
        failed.answer.wrong('"status": "FAILED" (the second cell raised)', KEPT)
    first, second, third = executed(apis[1], failed)
    did = f"curl 'http://127.0.0.1:{PORT}/output/{failed.run_id}?format=ipynb'"
    expected = f"what the first cell printed before the second raised: 'begun {failed.mark}'"
    require(f"begun {failed.mark}" in first, did, expected, f"its output is {first}", KEPT)
    expected = "the second cell's LookupError among its outputs"
    require("LookupError" in second, did, expected, f"its output is {second}", KEPT)
    expected = "no output of the third cell: it was not executed"
    require(third == "[]", did, expected, f"its output is {third}", KEPT)


@pytest.mark.task("11.3")
def test_each_run_has_a_notebook_of_its_own(
    apis: list[Api], good: ProbeRun, failed: ProbeRun
) -> None:
    first, *_ = executed(apis[1], good)
    did = f"curl 'http://127.0.0.1:{PORT}/output/{good.run_id}?format=ipynb'   # after another run"
    expected = f"still its own notebook, in which a cell printed 'begun {good.mark}'"
    require(f"begun {good.mark}" in first, did, expected, f"its output is {first}", KEPT)


@pytest.mark.task("11.1")
def test_a_failed_run_says_how_far_it_came(
    apis: list[Api], folder: Folder, failed: ProbeRun
) -> None:
    if folder.path.is_dir() or WHY in failed.error:  # else it failed for want of the folder
        why = "the second cell raised, and the numbers stay"
        require_cells_done(apis[1], failed.run_id, 1, why, or_done=2)  # with the one that raised
