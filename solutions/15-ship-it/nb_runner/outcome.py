"""Where a run stands, and how it has ended, as data: made where the fact is known."""

import signal
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 2000  # characters of an error that go into the run's record


class Status(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"  # admitted; no worker has claimed it yet
    RUNNING = "RUNNING"  # claimed by a worker
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"  # its lease ran out: the worker died, or never came

    @property
    def active(self) -> bool:
        """Whether the run still needs its lease."""
        return self in (Status.QUEUED, Status.RUNNING)


class Reason(StrEnum):
    """Why a run did not succeed."""

    CELL_ERROR = "cell_error"  # a cell raised
    CELL_TIMEOUT = "cell_timeout"  # a cell took longer than CELL_TIMEOUT
    RUN_TIMEOUT = "run_timeout"  # the run took longer than RUN_TIMEOUT
    KERNEL_DIED = "kernel_died"  # in a cell; `signal` or `exit_code` say how
    OUT_OF_MEMORY = "out_of_memory"  # it was killed, and the system counts one kill more for it
    OUTPUT_LIMIT = "output_limit"  # it put out more than OUTPUT_LIMIT, with OVER_OUTPUT_LIMIT=fail
    OUTPUT_MISSING = "output_missing"  # some of its output did not arrive
    CANCELLED = "cancelled"  # a caller asked for its end
    # The worker could not begin, or could not keep what came of it.
    NOTEBOOK_UNUSABLE = "notebook_unusable"  # NOTEBOOK_PATH: missing, or no notebook
    KERNEL_NOT_STARTED = "kernel_not_started"
    NO_TOKEN = "no_token"  # the database issued no fencing token
    OUTPUT_NOT_KEPT = "output_not_kept"  # ARTIFACTS_DIR cannot be written to
    NAMESPACE_SHARED = "namespace_shared"  # another runner uses the same names in Redis
    RUNNER_FAILED = "runner_failed"  # a mistake of the runner itself
    # The worker did not come, or did not stay.
    NO_WORKER = "no_worker"  # while it waited, no worker was heard of
    NOT_TAKEN = "not_taken"  # workers were heard of, and its message stayed in the queue
    NOT_CLAIMED = "not_claimed"  # its message was gone, and no worker claimed the run
    WORKER_LOST = "worker_lost"  # the worker that had claimed it fell silent
    WORKER_STOPPED = "worker_stopped"  # the worker was told to stop


# What is written by a script in Redis has a reason, and no error.
WORDS = {
    Reason.CANCELLED: "Cancelled before a worker took it.",
    Reason.NO_WORKER: "No worker took the run while its lease lasted. No worker was heard of: "
    "is one up?",
    Reason.NOT_TAKEN: "No worker took the run while its lease lasted. Workers are up, and none "
    "fetched the message: they were busy, or cut off from the queue.",
    Reason.NOT_CLAIMED: "No worker took the run while its lease lasted. A worker is up, and the "
    "message was fetched, or never got there: Redis or the database may have been slow or locked.",
    Reason.WORKER_LOST: "The worker fell silent for longer than its lease.",
}


@dataclass(frozen=True)
class RunOutcome:
    """A status. Each run that did not succeed has a reason and an error, too."""

    status: Status
    reason: Reason | None = None
    error: str | None = None
    signal: str | None = None  # what has ended the kernel, if it died: the name of a signal
    exit_code: int | None = None  # or an exit code


SUCCEEDED = RunOutcome(Status.SUCCEEDED)


def failed(reason: Reason, error: str) -> RunOutcome:
    """A run that failed."""
    return RunOutcome(Status.FAILED, reason, error[:LONGEST])


def kernel_died(reason: Reason, error: str, returncode: int | None) -> RunOutcome:
    """A run whose kernel died. `returncode` is as subprocess has it: -9 is signal 9."""
    name = code = None
    if returncode is not None and returncode < 0:
        name = _name(-returncode)
    else:
        code = returncode
    return RunOutcome(Status.FAILED, reason, error[:LONGEST], name, code)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have no name
        return str(number)
