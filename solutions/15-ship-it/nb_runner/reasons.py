"""Why a run ended as it did: as data, and in words where the words need nothing else."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a run did not succeed."""

    CANCELLED = "cancelled"
    NO_WORKER = "no_worker"  # while it waited, no worker was heard of
    NOT_TAKEN = "not_taken"  # workers were heard of, and its message stayed in the queue
    NOT_CLAIMED = "not_claimed"  # its message was gone, and no worker claimed the run
    WORKER_LOST = "worker_lost"  # the worker that had claimed it fell silent
    WORKER_STOPPED = "worker_stopped"  # the worker was told to stop
    RUN_TIMEOUT = "run_timeout"  # it took longer than RUN_TIMEOUT


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
