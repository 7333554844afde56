"""Exercise 10: a run executes the notebook, and keeps its output."""

import re
import sqlite3
import time
from contextlib import closing

import pytest

from kit.grading import values
from kit.grading.api import PORT, Api
from kit.grading.failure import Wrong, require
from kit.grading.probe import ENDLESS, RUN, Probe, ProbeRun, alive
from kit.grading.submission import Submission
from kit.grading.values import Kind

CELL_TIMEOUT = 3  # seconds; every other cell is done in hundredths of one
RUN_TIMEOUT = 20.0  # seconds; a run that takes longer ignores CELL_TIMEOUT
KERNEL_END_TIMEOUT = 10.0  # seconds until a kernel has ended
CONFIG = "nb_runner/config.py: Settings, and nb_runner/executor.py: run()"
TASK = "nb_runner/tasks.py: run_notebook(), and nb_runner/executor.py: run()"
OUTPUT = "nb_runner/runs.py: output(), and nb_runner/executor.py: NotebookFailed"
START = f"curl -X POST http://127.0.0.1:{PORT}/start"

BESIDE = """
beside = Path("beside.txt").read_text()
"""
ORDERED = f"""
if orders["mode"] == "raise":
    raise LookupError(f"no flight left from {{mark}}")
if orders["mode"] == "die":
    os._exit(1)
if orders["mode"] == "endless":
    time.sleep({ENDLESS})
"""
WRITE = """
import sqlite3

with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///")) as database:
    database.execute("CREATE TABLE IF NOT EXISTS delays (mark TEXT)")
    database.execute("INSERT INTO delays VALUES (?)", (mark,))
print(f"done {mark}")
"""


@pytest.fixture(scope="module")
def probe(submission: Submission) -> Probe:
    return Probe(submission, "# Delays", BESIDE, ORDERED, WRITE)


@pytest.fixture(scope="module")
def api(submission: Submission, probe: Probe) -> Api:
    env = {"NOTEBOOK_PATH": str(probe.path), "CELL_TIMEOUT": str(CELL_TIMEOUT)}
    return submission.up(workers=1, env=env)


@pytest.fixture(scope="module")
def good(api: Api, probe: Probe) -> ProbeRun:
    """The first run, which succeeds."""
    return probe.run(api, mode="good")


@pytest.fixture(scope="module")
def failed(api: Api, probe: Probe, good: ProbeRun) -> ProbeRun:
    """The second run, in which a cell raises."""
    return probe.run(api, mode="raise")


def output(api: Api, run: ProbeRun) -> str:
    """The answer of GET /output about a run, as text."""
    return api.get(f"/output/{run.run_id}").expect(200, "the run has ended", OUTPUT).text


@pytest.mark.task("10.1")
def test_the_run_runs_the_notebook(
    submission: Submission, api: Api, probe: Probe, good: ProbeRun
) -> None:
    seen = probe.seen(good.mark)
    expected = "a run of the notebook that NOTEBOOK_PATH names"
    got = f"none of its cells was executed. The run: {good.answer}"
    require(seen is not None, START, expected, got, TASK)
    assert seen is not None
    folder = str(probe.path.parent)
    expected = f"a run in the notebook's own folder, {folder}: it reads a file beside it"
    require(seen["folder"] == folder, START, expected, f"a run in {seen['folder']}", RUN)
    url = submission.env()["DATABASE_URL"]
    expected = f"the notebook finds DATABASE_URL in its environment, as it is in ours: {url}"
    require(seen["database"] == url, START, expected, f"it found {seen['database']}", CONFIG)
    if good.status != "SUCCEEDED":
        good.answer.wrong('"status": "SUCCEEDED" (no cell raised)', RUN)
    expected = "the row that the notebook wrote into the database at DATABASE_URL"
    got = f"no such row. The run: {good.answer}"
    require(wrote(url, good.mark), START, expected, got, RUN)


@pytest.mark.task("10.1")
def test_the_output_is_what_the_notebook_printed(api: Api, good: ProbeRun) -> None:
    answer = api.get(f"/output/{good.run_id}").expect(200, "the run has succeeded", OUTPUT)
    for printed in (f"begun {good.mark}", f"done {good.mark}"):
        if printed not in answer.text:
            answer.wrong(f"what the notebook printed: {printed!r} is part of it", TASK)


def wrote(url: str, mark: str) -> bool:
    """Whether the run has written its row."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        try:
            rows = database.execute("SELECT mark FROM delays WHERE mark = ?", (mark,)).fetchall()
        except sqlite3.OperationalError:  # no such table
            return False
    return len(rows) == 1


@pytest.mark.task("10.2")
def test_a_cell_that_raises_fails_the_run_and_says_why(api: Api, failed: ProbeRun) -> None:
    require_failed(failed, "the notebook's third cell raised")
    why = f"no flight left from {failed.mark}"
    if why not in failed.error:
        failed.answer.wrong(f"an `error` with the cell's own words: {why!r}", RUN)
    answer = api.get(f"/output/{failed.run_id}").expect(200, "the run has ended", OUTPUT)
    if why not in answer.text:
        answer.wrong(f"the cell's own words: {why!r}", OUTPUT)
    if f"begun {failed.mark}" not in answer.text:
        expected = "what the cells before the failure printed, too: "
        answer.wrong(f"{expected}{f'begun {failed.mark}'!r}", OUTPUT)


@pytest.mark.task("10.2")
def test_a_cell_that_takes_too_long_fails_the_run(api: Api, probe: Probe, good: ProbeRun) -> None:
    run_id, mark = probe.start(api, mode="endless")
    try:
        run = probe.follow(api, run_id, mark, RUN_TIMEOUT)
    except Wrong as error:
        expected = f"the run's end: CELL_TIMEOUT is {CELL_TIMEOUT} s, and a cell takes longer"
        raise Wrong(error.did, expected, error.got, CONFIG) from None
    require_failed(run, f"a cell took longer than CELL_TIMEOUT, {CELL_TIMEOUT} s")
    if not re.search(r"(?i)time|long|second|limit|\bs\b", run.error):
        run.answer.wrong("an `error` that says that a cell took too long", RUN)


@pytest.mark.task("10.2")
def test_a_kernel_that_dies_fails_the_run(api: Api, probe: Probe, good: ProbeRun) -> None:
    run = probe.run(api, mode="die")
    require_failed(run, "a cell said os._exit(1), and that was the end of the kernel")
    if not re.search(r"(?i)kernel|died|dead", run.error):
        run.answer.wrong("an `error` that says that the kernel died", RUN)


def require_failed(run: ProbeRun, why: str) -> None:
    if run.status != "FAILED":
        run.answer.wrong(f'"status": "FAILED" ({why})', RUN)


@pytest.mark.task("10.3")
def test_each_run_shows_its_own_outputs_only(
    api: Api, probe: Probe, good: ProbeRun, failed: ProbeRun
) -> None:
    did = f"{START}, twice: the second time a cell raised"
    seen = probe.seen(failed.mark)
    require(seen is not None, did, "two runs of the notebook", "no cell was executed", TASK)
    assert seen is not None
    expected = "a kernel that knows nothing of the run before"
    got = "variables of the run before are there"
    require(not seen["left_over"], did, expected, got, RUN)
    expected = f"of the second run only what it printed itself (which has {failed.mark} in it)"
    text = output(api, failed)
    got = f"what the first run printed ({good.mark}): {text}"
    require(good.mark not in text, did, expected, got, RUN)


@pytest.mark.task("10.4")
@pytest.mark.parametrize("which", ["good", "failed"])
def test_no_kernel_is_left(which: str, probe: Probe, request: pytest.FixtureRequest) -> None:
    run: ProbeRun = request.getfixturevalue(which)
    began = time.time()
    seen = probe.seen(run.mark)
    did = f"{START}, and `ps` once the run was {run.status}"
    expected = "a kernel that ran the notebook, and has ended"
    require(seen is not None, did, expected, "no cell was executed", TASK)
    assert seen is not None
    deadline = time.monotonic() + KERNEL_END_TIMEOUT
    while command := alive(seen["pid"], began):
        pid = values.note(Kind.PID, seen["pid"])
        got = f"process {pid}, in which the cells ran, is still there: {command}"
        require(time.monotonic() < deadline, did, expected, got, RUN)
        time.sleep(0.05)
