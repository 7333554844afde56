"""How a run has ended, as data: made where the fact is known, written into the record as it is."""

import signal
from dataclasses import dataclass

from .reasons import Reason
from .runs import Status

LONGEST = 2000  # characters of an error that go into the run's record


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
