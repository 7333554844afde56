"""Verdicts as text: the one place where text is made of a state, a failure or a problem.

Each output arranges these texts in its own way: the terminal (kit.checking.report), HTML, Markdown
and JUnit (kit.classroom.reports).
"""

from kit.course.catalogue import Exercise
from kit.verdicts.failure import Failure, FailureCode
from kit.verdicts.verdict import Problem, State, TaskVerdict

MIB = 1 << 20
CUT = " … (cut short)"
WE_DID, EXPECTED, GOT, LOOK_AT, HINT = "We did", "Expected", "Got", "Look at", "Hint"
ORDER = "In order"
SEEN = "Seen"

NOT_HANDED_IN = "Not handed in."
NOT_REACHED = "Not checked yet: what comes before it has to pass first."
NOT_CHECKED = "Not checked."

SENTENCES = {
    FailureCode.TIME_LIMIT: "It took longer than {limit:g} s, so everything was stopped.",
    FailureCode.PROCESS_LIMIT: "It had more than {limit:.0f} processes at the same time.",
    FailureCode.THREAD_LIMIT: "It had more than {limit:.0f} threads at the same time.",
    FailureCode.MEMORY_LIMIT: "It used more than {mib:.0f} MiB of memory.",
    FailureCode.DISK_LIMIT: "It wrote more than {mib:.0f} MiB.",
    FailureCode.FILE_LIMIT: "It made more than {limit:.0f} files.",
    FailureCode.ENDED_GRADER: "The work ended its own grader, so nothing of it counts.",
    FailureCode.ENDED_FORK_SERVER: (
        "The work ended the process that starts its programs, so nothing of it counts."
    ),
    FailureCode.BROKE_GRADER: (
        "The work made its own grader fail, so nothing of it counts: {detail}"
    ),
    FailureCode.NOT_COPIED: "It cannot be copied: {detail}",
    FailureCode.NOT_READABLE: "{detail}",
    FailureCode.INTERRUPTED: "It was stopped.",
}

Entry = tuple[str, str]  # a label, or none, and a text


def hint_command(exercise: Exercise) -> str:
    """The command that shows a hint."""
    return f"./workshop hint {exercise.number:02}"


def entries(task: TaskVerdict, hint: str = "") -> list[Entry]:
    """Why a task has not passed: labelled texts, or one sentence. Empty if it has passed.

    `hint`: how to get a hint; it is the last text of a wrong answer.
    """
    match task.state:
        case State.PASSED:
            return []
        case State.NOT_REACHED:
            return [("", NOT_REACHED)]
        case State.NOT_HANDED_IN if task.failure is None:
            return [("", NOT_HANDED_IN)]
        case State.NOT_CHECKED:
            return [("", NOT_CHECKED)]
    return failure_entries(task.failure, hint) if task.failure else []


def task_text(task: TaskVerdict, hint: str = "") -> str:
    """Why a task has not passed, as text."""
    return plain(entries(task, hint))


def failure_entries(failure: Failure, hint: str = "") -> list[Entry]:
    """A failure as labelled texts, or as one sentence."""
    if failure.code is FailureCode.WRONG:
        got = failure.got + (CUT if failure.cut else "")
        labelled = [(WE_DID, failure.did), (EXPECTED, failure.expected), (GOT, got)]
        labelled += [(ORDER, failure.schedule)]
        labelled += [(LOOK_AT, failure.where), (HINT, hint)]
        return [(label, text) for label, text in labelled if text]
    sentence = SENTENCES[failure.code]
    limit = failure.limit
    return [("", sentence.format(limit=limit, mib=limit / MIB, detail=failure.detail))]


def plain(labelled: list[Entry]) -> str:
    """Entries as text, with the labels in a column."""
    lines = []
    for label, text in labelled:
        first, *rest = text.splitlines() or [""]
        lines.append(f"{label:<9} {first}" if label else first)
        lines += [f"{'':<9} {line}" if label else line for line in rest]
    return "\n".join(lines)


def problem_text(problem: Problem) -> str:
    """Why there is no verdict: a sentence, and below it the last lines of a log."""
    return "\n".join(filter(None, [problem.message, problem.detail]))
