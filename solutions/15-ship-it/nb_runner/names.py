"""What the runner keeps in Redis, and under which names.

All names begin with the setting NAMESPACE ("nb" unless it is set), so that two runners can share
one Redis. There are few names, so any number of API processes can serve the runs:

    nb:lease        who may run now: "<run id>:admitted", later "<run id>:<worker>"; expires
    nb:marker       what Redis must still hold: a number that only grows, and when the lease ends
    nb:grace        Redis forgot something: no start is admitted; expires
    nb:runs         ids of the last runs, newest first
    nb:totals       how many runs ended in which status, and how many starts were refused
    nb:measures     how long runs took and waited, and when one last succeeded
    nb:run:<id>     the record of a run, a hash
    nb:tells        people are told of each run that ends: NOTIFY_URLS
    nb:cancel:<n>   the run that this POST /cancel has cancelled; expires
    nb:heard        a worker was heard of a moment ago; expires
    nb:worker:<n>   this one was, and has this notebook; expires
    nb:pools:<n>    how many pool processes that worker has; expires
    nb:pool:<n>:<p> what one of them said of itself a moment ago; expires
    nb:celery       the messages that wait for a worker, and the other keys of Celery: nb:_kombu…
"""

from functools import cache

from .config import get_settings


class Names:
    """The names of one runner."""

    def __init__(self, namespace: str) -> None:
        self.prefix = f"{namespace}:"  # all names begin with it, Celery's too
        self.queue = f"{self.prefix}celery"  # Celery's own name of the queue has no prefix
        self.index = f"{self.prefix}runs"
        self.totals = f"{self.prefix}totals"
        self.measures = f"{self.prefix}measures"
        self.lease = f"{self.prefix}lease"
        self.grace = f"{self.prefix}grace"
        self.heard = f"{self.prefix}heard"
        self.tells = f"{self.prefix}tells"

    def record(self, run_id: str) -> str:
        """The record of a run; of "": what the names of all records begin with."""
        return f"{self.prefix}run:{run_id}"

    def worker(self, name: str) -> str:
        """Where a worker says that it is alive."""
        return f"{self.prefix}worker:{name}"

    def pools(self, worker: str) -> str:
        """Where a worker says how many pool processes it has."""
        return f"{self.prefix}pools:{worker}"

    def pool(self, worker: str, process: object) -> str:
        """Where a pool process of a worker says whether a run would work there."""
        return f"{self.prefix}pool:{worker}:{process}"

    def cancel(self, request: str) -> str:
        """What a POST /cancel has done."""
        return f"{self.prefix}cancel:{request}"

    def for_script(self, run_id: str = "") -> list[str]:
        """The keys of a script, in the order of lua/lease.lua."""
        shared = [self.lease, f"{self.prefix}marker", self.grace]
        return [*shared, self.index, self.totals, self.measures, self.record(run_id)]


@cache
def names() -> Names:
    """The names of this runner."""
    return Names(get_settings().namespace)
