"""Is the rule kept? Asked of the runner as its users would ask, and of the queue in Redis."""

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from explorer import Data, Trace
from kit.exploring.findings import Outcome
from kit.grading.api import Answer, Api
from kit.grading.gated.project import CallResult
from kit.grading.gated.rules import unanswered
from kit.grading.runner.runs import ACTIVE
from kit.verdicts.failure import Wrong

# 503: a start that did not get the lock in time, or an answer of Redis: on a machine that is very
# busy, Redis behind a gate may take longer to answer than a runner waits for it.
REFUSED, NO_ANSWER_IN_TIME = 409, 503
ALLOWED = (202, REFUSED, NO_ANSWER_IN_TIME)
LONG = 3600  # seconds after which the lock or the lease of a crashed process has to be gone


@dataclass(frozen=True)
class Verdict:
    """What came of a crash. `words`: what is wrong, as the end of a sentence."""

    outcome: Outcome
    words: str = ""


def fault_of_schedule(trace: Trace, api: Api) -> str | None:
    """What is wrong when all calls of a schedule have been answered. `api` took no part in it."""
    if (wrong := unanswered(trace)) is not None:
        return wrong.got
    if trace.stuck:
        return f"{' and '.join(trace.stuck)} waited for ever"
    for one in trace.outcomes:
        if isinstance(one.result, CallResult) and one.result.status not in ALLOWED:
            return f"{one.actor} was answered {one.result.answer}"
    active = active_runs(api)
    if len(active) > 1:
        return f"{len(active)} runs are active at the same time"
    if active and api.post("/start").status == 202:
        return f"run {active[0]} is active, and a further start was let in"
    return None


def fault_of_end(trace: Trace, api: Api) -> str | None:
    """The same, when a worker has done with its run: then a start is possible again."""
    fault = fault_of_schedule(trace, api)
    if fault is None and not active_runs(api) and api.post("/start").status == REFUSED:
        return "no run is active, and a further start was refused"
    return fault


def after_crash(first: Answer | None, api: Api, data: Data, at_work: Sequence[str] = ()) -> Verdict:
    """What came of a crash. `first` is the answer to the start that followed it.

    `at_work`: runs that a living worker has taken, so that they will end without a message.
    """
    if first is None:
        return Verdict(Outcome.NO_ANSWER, "the next start waits for ever")
    if first.status not in ALLOWED:
        return Verdict(Outcome.ERROR, f"the next start is answered {first}")
    active = active_runs(api)
    going = [run for run in active if run in at_work or messages(data, run)]
    if len(going) > 1:
        return Verdict(Outcome.TWO, f"{len(going)} runs are queued or at work at the same time")
    if first.status == NO_ANSWER_IN_TIME and not going:
        data.advance(LONG)  # what that start has taken, it keeps until its lease ends
    again = api.post("/start")
    if again.status == 202:
        if going:
            words = f"run {going[0]} is {status_of(api, going[0])}, and another start is let in"
            return Verdict(Outcome.TWO, words)
        return Verdict(Outcome.LET_IN)
    if again.status != REFUSED:
        return Verdict(Outcome.ERROR, f"a start is answered {again}")
    running = _running(again) or next(iter(active), "")
    if running in going:
        return Verdict(Outcome.BLOCKED if first.status == REFUSED else Outcome.LET_IN)
    if not running:
        return Verdict(Outcome.FOR_EVER, "every start is refused, and no run is active")
    words = f"run {running} stays {status_of(api, running)}, because it has no worker and no "
    return Verdict(Outcome.FOR_EVER, f"{words}message any more, and every start is refused")


def active_runs(api: Api) -> list[str]:
    """The ids of the runs that are queued or running, the newest first."""
    told: Any = None
    for path in ("/runs", "/status"):
        answer = api.get(path)
        if answer.status == 200:
            with contextlib.suppress(ValueError):
                told = json.loads(answer.text)
                break
    runs = told if isinstance(told, list) else [told]
    return [
        str(run["run_id"])
        for run in runs
        if isinstance(run, dict) and run.get("status") in ACTIVE and run.get("run_id")
    ]


def status_of(api: Api, run_id: str) -> str:
    """The status of a run, as the API tells it."""
    with contextlib.suppress(Wrong, ValueError, KeyError, TypeError):
        return str(json.loads(api.get(f"/status/{run_id}").text)["status"])
    return "active"


def messages(data: Data, run_id: str) -> int:
    """How many messages about this run wait for a worker."""
    return sum(run_id in text for text in _messages(data))


def _messages(data: Data) -> Iterator[str]:
    """All messages of Celery's transport, in whatever queue: their headers, and their contents."""
    redis = data.redis
    for key in redis.scan_iter(count=1000, _type="LIST"):
        for element in redis.lrange(key, 0, -1):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                message = json.loads(element)
                yield json.dumps(message["headers"]) + base64.b64decode(message["body"]).decode()


def _running(answer: Answer) -> str:
    """The run that is named in a refusal."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(answer.text)["running"])
    return ""
