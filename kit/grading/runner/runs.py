"""Functions that several graders need: start a run, and wait for its end."""

import time
from typing import Any

from kit.grading.api import PORT, Answer, Api
from kit.verdicts.failure import Wrong

START = "nb_runner/main.py: start()"
STATUS = "nb_runner/main.py: status()"
ACTIVE = ("QUEUED", "RUNNING")
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
RUN_TIMEOUT = 30.0  # seconds; on an idle machine it takes one
STATUS_POLL_INTERVAL = 0.05  # seconds


def start(api: Api, body: dict[str, Any], why: str = "the run is on its way") -> str:
    """Start a run, and return its id. Raises Wrong when the start is refused."""
    answer = api.post("/start", body).expect(202, why, START)
    return run_id_of(answer)


def run_id_of(answer: Answer) -> str:
    """The `run_id` in an answer."""
    run_id = answer.field("run_id", START)
    if not isinstance(run_id, str) or not run_id:
        answer.wrong("a `run_id` that is text", START)
    return run_id


def status(api: Api, run_id: str) -> str:
    """The status of a run."""
    path = f"/status/{run_id}"
    return str(api.get(path).expect(200, "the run is known", STATUS).field("status", STATUS))


def follow(
    api: Api, run_id: str, until: tuple[str, ...], where: str, timeout: float = RUN_TIMEOUT
) -> str:
    """Wait until the run has one of these statuses, and return it."""
    deadline = time.monotonic() + timeout
    while (now := status(api, run_id)) not in until:
        if now in ENDED or time.monotonic() > deadline:
            raise Wrong(
                f"curl http://127.0.0.1:{PORT}/status/{run_id}",
                f"the status {' or '.join(until)} within {timeout:g} s",
                f"{now}, at its end" if now in ENDED else f"still {now}",
                where,
            )
        time.sleep(STATUS_POLL_INTERVAL)
    return now
