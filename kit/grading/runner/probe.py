"""A notebook of the grader. It reads orders from a file, and writes what it saw to a file."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from kit.grading.api import Answer, Api
from kit.grading.diagnosis import reason
from kit.grading.runner.runs import (
    ACTIVE,
    RUN_TIMEOUT,
    STATUS,
    STATUS_POLL_INTERVAL,
    run_id_of,
    status,
)
from kit.grading.submission import Submission
from kit.verdicts import values

START = "nb_runner/main.py: start()"
RUN = "nb_runner/executor.py: run()"

# The first cell. `desk` is the folder of both files; it is not the notebook's folder.
FIRST_CELL = """
import json, os, time
from pathlib import Path

desk = Path({desk!r})
orders = json.loads((desk / "orders.json").read_text())
seen = {{
    "pid": os.getpid(),
    "folder": os.getcwd(),
    "database": os.environ.get("DATABASE_URL"),
    "left_over": "mark" in globals(),
}}
mark = orders["mark"]
(desk / f"draft-{{mark}}").write_text(json.dumps(seen))
(desk / f"draft-{{mark}}").rename(desk / f"seen-{{mark}}")
print(f"begun {{mark}}")  # one write: a kernel may store two writes as two outputs
"""
PORT_TAKEN = "Address already in use"
KERNEL_TIMEOUT = 70.0  # seconds; nbclient waits for a kernel without a heartbeat for 60
ENDLESS = 3600  # seconds; an upper bound, if the cell is never killed


@dataclass(frozen=True)
class ProbeRun:
    """One run of the probe. `mark` is a text that only this run prints."""

    run_id: str
    mark: str
    answer: Answer  # the last answer to GET /status/{run_id}

    @property
    def status(self) -> str:
        return str(self.answer.field("status", STATUS))

    @property
    def error(self) -> str:
        return str(self.answer.object(STATUS).get("error") or "")


def plain_start(api: Api) -> Answer:
    """A start that asks for nothing."""
    return api.post("/start", {})


class Probe:
    """A notebook: a first cell of its own, then the given code cells.

    A cell that begins with "# " is a text cell. `name` is the folder that it has for itself.
    """

    def __init__(self, submission: Submission, *cells: str, name: str = "probe") -> None:
        self._submission = submission
        self._log_lengths: list[int] = []  # of each worker, when the run was started
        self.desk = submission.state / name / "desk"
        self.desk.mkdir(parents=True)
        folder = submission.state / name / "notebooks"
        folder.mkdir()
        (folder / "beside.txt").write_text("a file beside the notebook")
        self.path = folder / "probe.ipynb"
        book = {"cells": [], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 4}
        book["cells"] = [
            _cell(source) for source in (FIRST_CELL.format(desk=str(self.desk)), *cells)
        ]
        self.path.write_text(json.dumps(book))

    def start(
        self, api: Api, post: Callable[[Api], Answer] = plain_start, **orders: Any
    ) -> tuple[str, str]:
        """Start a run with these orders. Returns its id and its mark."""
        mark = values.unique("mark")
        orders["mark"] = mark
        (self.desk / "orders.json").write_text(json.dumps(orders))
        self._log_lengths = [len(worker.output()) for worker in self._submission.workers]
        answer = post(api).expect(202, "nothing is running", START)
        return run_id_of(answer), mark

    def begin(
        self, api: Api, post: Callable[[Api], Answer] = plain_start, **orders: Any
    ) -> tuple[str, str]:
        """Start a run, and wait for its first cell. Returns its id and its mark.

        A run that ends before its first cell is tried once more: a kernel chooses free ports and
        opens them a moment later, and another process may have been quicker.
        """
        run_id, mark = self.start(api, post, **orders)
        if self._ends_before_its_first_cell(api, run_id, mark):
            run_id, mark = self.start(api, post, **orders)
            self._ends_before_its_first_cell(api, run_id, mark)
        return run_id, mark

    def follow(self, api: Api, run_id: str, mark: str, timeout: float = RUN_TIMEOUT) -> ProbeRun:
        """Wait for the end of the run."""
        deadline = time.monotonic() + timeout
        while True:
            answer = api.get(f"/status/{run_id}").expect(200, "the run is known", STATUS)
            if answer.field("status", STATUS) not in ACTIVE:
                return ProbeRun(run_id, mark, answer)
            if time.monotonic() > deadline:
                pairs = zip(self._submission.workers, self._log_lengths, strict=False)
                logs = [reason(worker.output()[length:]) for worker, length in pairs]
                got = f"after {timeout:g} s, {answer}"
                answer.wrong("the run's end", RUN, "\n".join([got, *filter(None, logs)]))
            time.sleep(STATUS_POLL_INTERVAL)

    def run(self, api: Api, post: Callable[[Api], Answer] = plain_start, **orders: Any) -> ProbeRun:
        """Start a run with these orders, and wait for its end."""
        return self.follow(api, *self.begin(api, post, **orders))

    def seen(self, mark: str) -> dict[str, Any] | None:
        """What the first cell of that run saw; None when it was not executed."""
        file = self.desk / f"seen-{mark}"
        return dict(json.loads(file.read_text())) if file.exists() else None

    def _ends_before_its_first_cell(self, api: Api, run_id: str, mark: str) -> bool:
        began = time.monotonic()
        while self.seen(mark) is None:
            if status(api, run_id) not in ACTIVE:
                return self.seen(mark) is None
            waited = time.monotonic() - began
            if waited > (KERNEL_TIMEOUT if self._port_was_taken() else RUN_TIMEOUT):
                break
            time.sleep(STATUS_POLL_INTERVAL)
        return False

    def _port_was_taken(self) -> bool:
        """Whether a kernel of this run has found one of its ports taken."""
        pairs = zip(self._submission.workers, self._log_lengths, strict=False)
        return any(PORT_TAKEN in worker.output()[length:] for worker, length in pairs)

    def wait_at(self, gate: str, mark: str) -> None:
        """Wait until that run has reached the gate. At a timeout, the checks that follow fail."""
        deadline = time.monotonic() + RUN_TIMEOUT
        while not (self.desk / f"at-{gate}-{mark}").exists() and time.monotonic() < deadline:
            time.sleep(STATUS_POLL_INTERVAL)

    def open(self, gate: str) -> None:
        """Open the gate: the cell that waits for it goes on."""
        (self.desk / gate).touch()


def gate(name: str) -> str:
    """The source of a cell that waits until the grader opens the gate, for two minutes at most."""
    return f"""
(desk / f"at-{name}-{{mark}}").touch()
deadline = time.monotonic() + 120
while not (desk / {name!r}).exists():
    assert time.monotonic() < deadline, "nobody opened the gate"
    time.sleep(0.02)
print(f"through {name} {{mark}}")
"""


def alive(pid: int, since: float) -> str | None:
    """The command of the process with this id, if it was started before `since`; else None."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > since:
            return None
        return " ".join(process.cmdline())
    except psutil.Error:
        return None


KERNEL = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


def _cell(source: str) -> dict[str, Any]:
    if source.startswith("# "):
        return {"cell_type": "markdown", "metadata": {}, "source": source}
    code = {"cell_type": "code", "metadata": {}, "source": source.strip()}
    return code | {"outputs": [], "execution_count": None}
