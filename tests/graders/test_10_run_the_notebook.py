"""Exercise 10: a run executes the notebook, and keeps its output.

Two runners are up at the same time, each with its own database of Redis. "By hand" has what the
README's commands set, and no more. "Strict" has all settings, with a short CELL_TIMEOUT.
"""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest

from kit.grading.api import PORT, Answer, Api, curl
from kit.grading.runner.probe import ENDLESS, RUN, Probe, ProbeRun, alive
from kit.grading.runner.runs import STATUS_POLL_INTERVAL
from kit.grading.submission import Submission
from kit.grading.texts import readable
from kit.processes.child import Child
from kit.processes.ports import free_socket
from kit.processes.project import start_api
from kit.verdicts import values
from kit.verdicts.failure import Wrong, require
from kit.verdicts.values import Kind

CELL_TIMEOUT = 3  # seconds; every other cell is done in hundredths of one
RUN_TIMEOUT = 20.0  # seconds; a run that takes longer ignores CELL_TIMEOUT
KERNEL_END_TIMEOUT = 10.0  # seconds until a kernel has ended
CONFIG = "nb_runner/config.py: Settings, and nb_runner/executor.py: run()"
SETTINGS = "nb_runner/config.py: Settings"
TASK = "nb_runner/tasks.py: run_notebook(), and nb_runner/executor.py: run()"
OUTPUT = "nb_runner/runs.py: output(), and nb_runner/executor.py: NotebookFailed"
CALLER = "nb_runner/main.py: StartRequest and start()"
START = f"curl -X POST http://127.0.0.1:{PORT}/start"
# Variables that the README's commands do not set.
UNSET = dict.fromkeys(("DATABASE_URL", "CELL_TIMEOUT", "ARTIFACTS_DIR"))
OTHERS = "(redis_url|database_url|cell_timeout|artifacts_dir)"
# How a caller may try to name a notebook, beside the fields that /docs shows.
GUESSES = ("notebook", "notebook_path", "NOTEBOOK_PATH", "path", "file", "filename")

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
LAST = """
print(f"done {mark}")
"""
WHY = {  # the fixtures of failed runs, and why each of them fails
    "failed": "the notebook's third cell raised",
    "died": "a cell called os._exit(1), which ended the kernel",
    "slow": f"a cell took longer than CELL_TIMEOUT, {CELL_TIMEOUT} s",
}


@dataclass(frozen=True)
class Runners:
    """Both runners, and an API process that was started without NOTEBOOK_PATH."""

    by_hand: Api
    strict: Api
    without_notebook: Child


def new_probe(submission: Submission, name: str) -> Probe:
    return Probe(submission, "# Delays", BESIDE, ORDERED, LAST, name=name)


@pytest.fixture(scope="module")
def probe(submission: Submission) -> Probe:
    """The notebook of the runner that was started by hand."""
    return new_probe(submission, "by-hand")


@pytest.fixture(scope="module")
def strict_probe(submission: Submission) -> Probe:
    """The notebook of the strict runner."""
    return new_probe(submission, "strict")


@pytest.fixture(scope="module")
def relative(submission: Submission, probe: Probe) -> str:
    """NOTEBOOK_PATH of the runner that was started by hand.

    As in the README, the path is relative to the folder of the project. It begins with the name of
    that folder, so it leads nowhere from any other folder, however deep that is.
    """
    folder = submission.folder.resolve()
    return str(Path(os.pardir, folder.name, os.path.relpath(probe.path.resolve(), folder)))


@pytest.fixture(scope="module")
def runners_or_error(
    submission: Submission, relative: str, strict_probe: Probe
) -> Iterator[Runners | Wrong]:
    """Both runners, or why they do not start."""
    by_hand = UNSET | {"NOTEBOOK_PATH": relative}
    strict = {
        "NOTEBOOK_PATH": str(strict_probe.path),
        "CELL_TIMEOUT": str(CELL_TIMEOUT),
        "REDIS_URL": urlsplit(submission.redis_url)._replace(path="/1").geturl(),
    }
    try:
        apis, _ = submission.up_each([by_hand, strict], workers=[by_hand, strict])
    except Wrong as error:
        yield error
        return
    (one, _), (other, _) = apis
    env = submission.env(UNSET | {"NOTEBOOK_PATH": None, "REDIS_URL": None})
    with free_socket() as sock:
        child = start_api(submission.stack, submission.project, 50, sock, env)
    yield Runners(one, other, child)
    child.kill()


@pytest.fixture(scope="module")
def runners(runners_or_error: Runners | Wrong) -> Runners:
    """Both runners."""
    if isinstance(runners_or_error, Wrong):
        raise runners_or_error
    return runners_or_error


@pytest.fixture(scope="module")
def started(runners: Runners, strict_probe: Probe) -> tuple[str, str]:
    """The run of the strict runner, in which a cell takes too long: its id and its mark."""
    return strict_probe.begin(runners.strict, mode="endless")


@pytest.fixture(scope="module")
def api(runners: Runners, started: object) -> Api:
    """The runner that was started by hand, while the other one is at work."""
    return runners.by_hand


@pytest.fixture(scope="module")
def good(api: Api, probe: Probe) -> ProbeRun:
    """The first run, which succeeds."""
    return probe.run(api, mode="good")


@pytest.fixture(scope="module")
def foreign(submission: Submission) -> Path:
    """A notebook that a caller names. When it is executed, a file beside it appears."""
    path = submission.state / "elsewhere" / "foreign.ipynb"
    path.parent.mkdir()
    cell = nbformat.v4.new_code_cell(f"open({str(path.with_name('executed'))!r}, 'w').close()")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


@pytest.fixture(scope="module")
def failed(api: Api, probe: Probe, good: ProbeRun, foreign: Path) -> ProbeRun:
    """The second run, in which a cell raises. Its start names another notebook, in vain."""
    document = api.get("/openapi.json")
    fields = text_fields(document.object(CALLER)) if document.status == 200 else set()

    def post(api: Api) -> Answer:
        for names in ({*fields, *GUESSES}, fields, set[str]()):
            body = dict.fromkeys(sorted(names - {"requested_by"}), str(foreign))
            query = "&".join(f"{name}={foreign}" for name in body)
            answer = api.post(f"/start?{query}", body)
            if answer.status != 422:  # refused: that is one way not to obey
                break
        return answer

    return probe.run(api, post, mode="raise")


@pytest.fixture(scope="module")
def died(api: Api, probe: Probe, failed: ProbeRun) -> ProbeRun:
    """The third run, in which the kernel dies."""
    return probe.run(api, mode="die")


@pytest.fixture(scope="module")
def slow(runners: Runners, strict_probe: Probe, started: tuple[str, str]) -> ProbeRun:
    """The run of the strict runner at its end."""
    try:
        return strict_probe.follow(runners.strict, *started, RUN_TIMEOUT)
    except Wrong as error:
        expected = f"the run's end: CELL_TIMEOUT is {CELL_TIMEOUT} s, and a cell takes longer"
        raise Wrong(error.did, expected, error.got, CONFIG) from None


@pytest.mark.task("10.1")
def test_a_runner_starts_with_its_notebook_alone(
    relative: str, runners_or_error: Runners | Wrong
) -> None:
    error = runners_or_error
    if isinstance(error, Wrong) and re.search(OTHERS, error.got, re.IGNORECASE):
        did = f"NOTEBOOK_PATH={relative} fastapi dev nb_runner/main.py   # and a worker"
        expected = "a runner that starts with NOTEBOOK_PATH alone: the others have defaults"
        raise Wrong(did, expected, error.got, error.where)


@pytest.mark.task("10.1")
def test_the_run_runs_the_notebook(probe: Probe, good: ProbeRun) -> None:
    seen = probe.seen(good.mark)
    expected = "a run of the notebook that NOTEBOOK_PATH names"
    got = f"none of its cells was executed. The run: {good.answer}"
    require(seen is not None, START, expected, got, TASK)
    assert seen is not None
    folder = probe.path.parent.resolve()
    expected = f"a run in the notebook's own folder, {folder}: it reads a file beside it"
    same = Path(seen["folder"]).resolve() == folder
    require(same, START, expected, f"a run in {seen['folder']}", RUN)
    if good.status != "SUCCEEDED":
        good.answer.wrong('"status": "SUCCEEDED" (no cell raised)', RUN)


@pytest.mark.task("10.1")
def test_the_notebook_finds_the_database_of_the_defaults(probe: Probe, good: ProbeRun) -> None:
    seen = probe.seen(good.mark)
    expected = "the notebook finds DATABASE_URL in its environment, also where only the default "
    expected += "of your settings says which database it is"
    require(seen is not None, START, expected, "no cell was executed", TASK)
    assert seen is not None
    require(seen["database"], START, expected, f"it found {seen['database']}", CONFIG)


@pytest.mark.task("10.1")
def test_the_output_is_what_the_notebook_printed(api: Api, good: ProbeRun) -> None:
    answer = api.get(f"/output/{good.run_id}").expect(200, "the run has succeeded", OUTPUT)
    for printed in (f"begun {good.mark}", f"done {good.mark}"):
        if printed not in lines(answer):
            answer.wrong(f"what the notebook printed, as text: the line {printed!r}", TASK)


@pytest.mark.task("10.1")
def test_the_notebook_finds_the_database_of_the_settings(
    submission: Submission, strict_probe: Probe, started: tuple[str, str]
) -> None:
    url = submission.env()["DATABASE_URL"]
    seen = strict_probe.seen(started[1])
    did = f"DATABASE_URL={url} ./workshop run 10\n{START}"
    require(seen is not None, did, "a run of the notebook", "no cell was executed", TASK)
    assert seen is not None
    expected = f"the notebook finds DATABASE_URL in its environment, as it is in ours: {url}"
    require(seen["database"] == url, did, expected, f"it found {seen['database']}", CONFIG)


@pytest.mark.task("10.1")
def test_without_a_notebook_nothing_starts(runners: Runners) -> None:
    child = runners.without_notebook
    deadline = time.monotonic() + RUN_TIMEOUT
    while child.running and "startup complete" not in child.output():
        if time.monotonic() > deadline:
            break
        time.sleep(STATUS_POLL_INTERVAL)
    did = "env -u NOTEBOOK_PATH fastapi dev nb_runner/main.py"
    expected = "that it does not start, and says that NOTEBOOK_PATH is missing"
    require(not child.running, did, expected, "it starts", SETTINGS)
    log = child.output()
    got = "\n".join(log.splitlines()[-5:])
    require("notebook_path" in log.lower(), did, expected, got, SETTINGS)


@pytest.mark.task("10.1")
def test_without_a_notebook_nothing_else_is_missing(runners: Runners) -> None:
    # pydantic names each variable on a line of its own.
    log = runners.without_notebook.output()
    others = re.findall(rf"^{OTHERS}$", log, re.IGNORECASE | re.MULTILINE)
    did = "env -u NOTEBOOK_PATH fastapi dev nb_runner/main.py"
    expected = "NOTEBOOK_PATH alone is missing: the others have defaults"
    got = f"missing too: {', '.join(sorted({name.upper() for name in others}))}"
    require(not others, did, expected, got, SETTINGS)


@pytest.mark.task("10.1")
def test_the_caller_does_not_choose_the_notebook(failed: ProbeRun, foreign: Path) -> None:
    body = {"notebook_path": str(foreign)}
    did = f"{curl('POST', '/start', body)}   # and other names for it, also in the query"
    expected = "a run of the notebook that NOTEBOOK_PATH names: a caller may not choose it"
    got = "the notebook that the caller named was executed"
    require(not foreign.with_name("executed").exists(), did, expected, got, CALLER)


@pytest.mark.task("10.1")
def test_the_second_run_finds_the_notebook_too(probe: Probe, failed: ProbeRun) -> None:
    did = f"{START}   # for the second time, to the same worker"
    expected = "the notebook that NOTEBOOK_PATH names, relative to where the worker was started"
    got = f"none of its cells was executed. The run: {failed.answer}"
    require(probe.seen(failed.mark) is not None, did, expected, got, RUN)


def text_fields(document: dict[str, Any]) -> set[str]:
    """The names of all fields and parameters of POST /start that take text."""
    operation = document.get("paths", {}).get("/start", {}).get("post", {})
    parts = document.get("components", {}).get("schemas", {})

    def resolved(schema: dict[str, Any]) -> list[dict[str, Any]]:
        """The schema, and those that it may be."""
        name = schema.get("$ref", "").rpartition("/")[2]
        others = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
        others += [parts[name]] if name in parts else []
        return [schema, *(each for other in others for each in resolved(other))]

    def takes_text(schema: dict[str, Any]) -> bool:
        return any(each.get("type") == "string" for each in resolved(schema))

    content = operation.get("requestBody", {}).get("content", {})
    bodies = [each for media in content.values() for each in resolved(media.get("schema", {}))]
    fields = [item for body in bodies for item in body.get("properties", {}).items()]
    fields += [(each["name"], each.get("schema", {})) for each in operation.get("parameters", [])]
    return {name for name, schema in fields if takes_text(schema)}


def lines(answer: Answer) -> set[str]:
    """All lines of all texts in the answer."""
    found: set[str] = set()
    todo = [answer.json(OUTPUT)]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            found.update(value.splitlines())
        elif isinstance(value, list | dict):
            todo += value.values() if isinstance(value, dict) else value
    return found


@pytest.mark.task("10.2")
def test_a_cell_that_raises_fails_the_run_and_says_why(failed: ProbeRun) -> None:
    require_failed(failed, WHY["failed"])
    why = f"no flight left from {failed.mark}"
    if why not in failed.error:
        failed.answer.wrong(f"an `error` with the cell's own words: {why!r}", RUN)


@pytest.mark.task("10.2")
def test_a_kernel_that_dies_fails_the_run(died: ProbeRun) -> None:
    require_failed(died, WHY["died"])


@pytest.mark.task("10.2")
def test_a_cell_that_takes_too_long_fails_the_run(slow: ProbeRun, died: ProbeRun) -> None:
    require_failed(slow, WHY["slow"])
    said = [run.error.replace(run.run_id, "").replace(run.mark, "") for run in (slow, died)]
    if said[0] == said[1]:
        expected = "an `error` that says why: a cell took too long"
        slow.answer.wrong(expected, RUN, f"{slow.error!r}, as when a kernel died")


def require_failed(run: ProbeRun, why: str) -> None:
    """Raise Wrong unless the run has failed."""
    if run.status != "FAILED":
        run.answer.wrong(f'"status": "FAILED" ({why})', RUN)


@pytest.mark.task("10.2")
@pytest.mark.parametrize("which", WHY)
def test_the_error_of_a_failed_run_can_be_read(which: str, request: pytest.FixtureRequest) -> None:
    run: ProbeRun = request.getfixturevalue(which)
    if not readable(run.error):
        expected = f"an `error` that people can read: two words or more ({WHY[which]})"
        run.answer.wrong(expected, OUTPUT)


@pytest.mark.task("10.2")
@pytest.mark.parametrize("which", WHY)
def test_a_failed_run_shows_what_it_printed(
    which: str, runners: Runners, request: pytest.FixtureRequest
) -> None:
    run: ProbeRun = request.getfixturevalue(which)
    answer = output_of(run, which, runners)
    printed = f"begun {run.mark}"
    if printed not in lines(answer):
        expected = f"what the cells before the failure printed, too: the line {printed!r}"
        answer.wrong(expected, OUTPUT)


@pytest.mark.task("10.2")
@pytest.mark.parametrize("which", WHY)
def test_a_failed_run_has_its_traceback(
    which: str, runners: Runners, request: pytest.FixtureRequest
) -> None:
    answer = output_of(request.getfixturevalue(which), which, runners)
    traceback = answer.field("traceback", OUTPUT)
    if not isinstance(traceback, str) or "Traceback" not in traceback:
        answer.wrong("the `traceback`, as in exercise 09", OUTPUT)


def output_of(run: ProbeRun, which: str, runners: Runners) -> Answer:
    """The output of a run, from the runner that has executed it."""
    api = runners.strict if which == "slow" else runners.by_hand
    return api.get(f"/output/{run.run_id}").expect(200, "the run has ended", OUTPUT)


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
    text = api.get(f"/output/{failed.run_id}").expect(200, "the run has ended", OUTPUT).text
    got = f"what the first run printed ({good.mark}): {text}"
    require(good.mark not in text, did, expected, got, RUN)


@pytest.mark.task("10.4")
@pytest.mark.parametrize("which", ["good", "failed", "died", "slow"])
def test_no_kernel_is_left(
    which: str, probe: Probe, strict_probe: Probe, request: pytest.FixtureRequest
) -> None:
    run: ProbeRun = request.getfixturevalue(which)
    began = time.time()
    seen = (strict_probe if which == "slow" else probe).seen(run.mark)
    too_long = " (a cell took too long)" if which == "slow" else ""
    did = f"{START}, and `ps` once the run was {run.status}{too_long}"
    expected = "a kernel that ran the notebook, and has ended"
    require(seen is not None, did, expected, "no cell was executed", TASK)
    assert seen is not None
    deadline = time.monotonic() + KERNEL_END_TIMEOUT
    while command := alive(seen["pid"], began):
        pid = values.note(Kind.PID, seen["pid"])
        got = f"process {pid}, in which the cells ran, is still there: {command}"
        require(time.monotonic() < deadline, did, expected, got, RUN)
        time.sleep(STATUS_POLL_INTERVAL)
