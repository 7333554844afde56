"""A notebook of the grader's: it does what it is ordered to, and tells what it saw."""

import json
import time
from dataclasses import dataclass
from typing import Any

import psutil

from kit.grading import values
from kit.grading.api import Answer, Api
from kit.grading.diagnosis import reason
from kit.grading.runs import ACTIVE, PATIENCE, POLL, STATUS, run_id_of
from kit.grading.submission import Submission

START = "nb_runner/main.py: start()"
RUN = "nb_runner/executor.py: run()"

# Each run reads its orders, and leaves what it saw; both outside the notebook's folder.
FIRST = """
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
print(f"begun {{mark}}")  # in one piece: what is written in two, a kernel may store as two
"""
ENDLESS = 3600  # seconds; whoever waits for that has been forgotten


@dataclass(frozen=True)
class ProbeRun:
    """One run of the probe. `mark` is what it prints, and no other run does."""

    run_id: str
    mark: str
    answer: Answer  # to GET /status/{run_id}: the last

    @property
    def status(self) -> str:
        return str(self.answer.field("status", STATUS))

    @property
    def error(self) -> str:
        return str(self.answer.object(STATUS).get("error") or "")


class Probe:
    """A notebook of these code cells after the first of its own; and our orders to it.

    A cell given as "# …" is text.
    """

    def __init__(self, submission: Submission, *cells: str) -> None:
        self._submission = submission
        self._old: list[int] = []  # what workers had logged when the run was started
        self.desk = submission.state / "desk"
        self.desk.mkdir()
        folder = submission.state / "notebooks"
        folder.mkdir()
        (folder / "beside.txt").write_text("a file beside the notebook")
        self.path = folder / "probe.ipynb"
        book = {"cells": [], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 4}
        book["cells"] = [_cell(source) for source in (FIRST.format(desk=str(self.desk)), *cells)]
        self.path.write_text(json.dumps(book))

    def start(self, api: Api, **orders: Any) -> tuple[str, str]:
        """Start a run with these orders. Its id and its mark."""
        mark = values.unique("mark")
        orders["mark"] = mark
        (self.desk / "orders.json").write_text(json.dumps(orders))
        self._old = [len(worker.output()) for worker in self._submission.workers]
        answer = api.post("/start", {}).expect(202, "nothing is running", START)
        return run_id_of(answer), mark

    def follow(self, api: Api, run_id: str, mark: str, patience: float = PATIENCE) -> ProbeRun:
        """Wait for the run's end."""
        deadline = time.monotonic() + patience
        while True:
            answer = api.get(f"/status/{run_id}").expect(200, "the run is known", STATUS)
            if answer.field("status", STATUS) not in ACTIVE:
                return ProbeRun(run_id, mark, answer)
            if time.monotonic() > deadline:
                pairs = zip(self._submission.workers, self._old, strict=False)
                logs = [reason(worker.output()[old:]) for worker, old in pairs]
                got = f"after {patience:g} s, {answer}"
                answer.wrong("the run's end", RUN, "\n".join([got, *filter(None, logs)]))
            time.sleep(POLL)

    def run(self, api: Api, patience: float = PATIENCE, **orders: Any) -> ProbeRun:
        """A run with these orders, from its start to its end."""
        return self.follow(api, *self.start(api, **orders), patience)

    def seen(self, mark: str) -> dict[str, Any] | None:
        """What that run saw. None: none of its cells was executed."""
        file = self.desk / f"seen-{mark}"
        return dict(json.loads(file.read_text())) if file.exists() else None

    def wait_at(self, gate: str, mark: str) -> None:
        """Wait until that run stands before the gate. Should it never come, other checks tell."""
        deadline = time.monotonic() + PATIENCE
        while not (self.desk / f"at-{gate}-{mark}").exists() and time.monotonic() < deadline:
            time.sleep(POLL)

    def open(self, gate: str) -> None:
        """Let the cell go on that waits for this gate."""
        (self.desk / gate).touch()


def gate(name: str) -> str:
    """The source of a cell that waits until we open the gate; not for ever, should we be gone."""
    return f"""
(desk / f"at-{name}-{{mark}}").touch()
deadline = time.monotonic() + 120
while not (desk / {name!r}).exists():
    assert time.monotonic() < deadline, "nobody opened the gate"
    time.sleep(0.02)
print(f"through {name} {{mark}}")
"""


def alive(pid: int, since: float) -> str | None:
    """The command of the process that has had this number since before `since`, if there is."""
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
