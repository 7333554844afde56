"""Why a task is not done, as data. kit.checking.wording turns it into text."""

from dataclasses import dataclass
from enum import StrEnum

LONGEST = 600  # characters of an answer that are kept
WIDTH, LINES = 1000, 100  # of any other text: the longest line, and the most lines


class FailureCode(StrEnum):
    """What kind of failure it is, and so which fields of the Failure say more."""

    WRONG = "wrong"  # a test of the grader says so: did, expected, got, where
    TIME_LIMIT = "time_limit"  # limit: seconds
    PROCESS_LIMIT = "process_limit"  # limit: processes at the same time
    THREAD_LIMIT = "thread_limit"  # limit: threads at the same time
    MEMORY_LIMIT = "memory_limit"  # limit: bytes
    DISK_LIMIT = "disk_limit"  # limit: bytes
    FILE_LIMIT = "file_limit"  # limit: files
    ENDED_GRADER = "ended_grader"  # the submission ended or stopped its own grader
    ENDED_FORK_SERVER = (
        "ended_fork_server"  # the submission ended the process that starts its programs
    )
    BROKE_GRADER = "broke_grader"  # the grader met an unexpected error; detail
    NOT_COPIED = "not_copied"  # the submission could not be copied into the sandbox; detail
    NOT_READABLE = "not_readable"  # the submission cannot be read; detail
    INTERRUPTED = "interrupted"  # the grading was stopped from outside


@dataclass(frozen=True)
class Failure:
    """One failure.

    `did` is a line to paste, `expected` and `got` say what should have come back and what did,
    `where` is the file and the function to look at. `cut`: `got` is longer than what is kept.
    `test` is the grader's test that found it.
    `schedule` is the order of commands that shows it, one line for each, if the order decides.
    `limit` is the amount that was exceeded, in the unit that the code names. `detail` is text from
    another program.
    """

    code: FailureCode = FailureCode.WRONG
    did: str = ""
    expected: str = ""
    got: str = ""
    where: str = ""
    cut: bool = False
    schedule: str = ""
    test: str = ""
    limit: float = 0
    detail: str = ""


class Wrong(Exception):
    """A test has found that a task is not done. A bug of the grader raises another error."""

    def __init__(
        self, did: str, expected: str, got: str, where: str = "", schedule: str = ""
    ) -> None:
        super().__init__(did, expected, got, where)
        self.did = did
        self.expected = expected
        self.got = got
        self.where = where
        self.schedule = schedule

    @property
    def failure(self) -> Failure:
        """What to tell the learner."""
        got = self.got.strip()
        cut = len(got) > LONGEST
        return Failure(
            did=clipped(self.did),
            expected=clipped(self.expected),
            got=got[:LONGEST] if cut else got,
            where=clipped(self.where),
            schedule=clipped(self.schedule),
            cut=cut,
        )


class NoAnswer(Wrong):
    """The API did not answer in time."""


def require(ok: object, did: str, expected: str, got: str, where: str = "") -> None:
    """Raise Wrong unless `ok`."""
    if not ok:
        raise Wrong(did, expected, got, where)


def clipped(text: str) -> str:
    """`text`, shortened to WIDTH and LINES. Without a limit, a submission could make it endless."""
    lines = text[: 2 * WIDTH * LINES].splitlines()
    short = [f"{line[:WIDTH]} …" if len(line) > WIDTH else line for line in lines[:LINES]]
    return "\n".join([*short, "…"] if len(lines) > LINES else short)
