"""The same work reads the same: names in place of what differs from one grading to the next.

Two kinds of text come in a verdict. What graders and the kit have made themselves (ports, run ids,
durations, temporary folders) was noted where it was made: see kit.grading.values. What the
submission's own programs have written (a traceback, a log) is unknown, and only the few things that
every Python program writes differently each time are looked for in it.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kit.grading.values import Kind, Value
from kit.grading.verdict import TaskVerdict, Verdict
from kit.workspace import ROOT, workspace

# What stands in place of a value. Runs and names are numbered as they come.
NAMES = {
    Kind.PORT: "PORT",
    Kind.PID: "PID",
    Kind.SECONDS: "… s",
    Kind.TIME: "TIME",
    Kind.COUNT: "several times",
    Kind.FOLDER: "FOLDER",
}
NUMBERED = {Kind.RUN: "run", Kind.NAME: "id"}

# In what a submission's programs write. Applied in order.
FOREIGN = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?", "TIME"),
    (r"\bdatetime\.datetime\([^()]*(?:\([^()]*\))?[^()]*\)?", "TIME"),
    (r"(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b", "TIME"),  # since 1970
    (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "UUID"),
    (r"\b(?=[a-f]*\d)[0-9a-f]{16,64}\b", "HEX"),
    (r"\b0x[0-9a-fA-F]{5,}", "0xADDRESS"),
    (r"\b1[34]\d{13}\b", "ADDRESS"),  # what id() returns
    (r"\b(ForkPoolWorker-|Thread-|Task-)\d+", r"\1N"),
    (r"(?i)\b(p?pid)(\W{1,3})\d+", r"\1\2PID"),
    (r"\b(process) \[\d+\]", r"\1 [PID]"),  # as uvicorn writes it
    # Eight letters of tempfile's, below the folders where it puts them.
    (r"((?:/var/folders/\w+/\w+/T|/var/tmp|/tmp)/[\w.-]*?)[a-z0-9_]{8}\b", r"\1NAME"),
)
NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Places:
    """Where a project was graded: in a folder named by its slug, somewhere below `scratch`."""

    slug: str
    scratch: Path


def normalised(verdict: Verdict, places: Places) -> Verdict:
    """The verdict that another grading of the same work would give, to the letter."""
    values = sorted(verdict.values, key=lambda value: -len(value.text))  # the longer ones first
    tasks = tuple(_uncut(task) for task in verdict.tasks)
    return replace(verdict, tasks=tasks, values=()).mapped(
        lambda text: _foreign(_without_places(_named(printable(text), values), places))
    )


def printable(text: str) -> str:
    """`text` with a visible sign for each character that is none: ESC becomes ␛."""
    return NOT_TEXT.sub(_sign, text)


def _uncut(task: TaskVerdict) -> TaskVerdict:
    """Without the last word of a text that was cut: how much of it is left is chance."""
    failure = task.failure
    if failure is None or not failure.cut:
        return task
    kept = re.sub(r"""[^\s"',]*\Z""", "", failure.got)
    return replace(task, failure=replace(failure, got=kept))


def _named(text: str, values: list[Value]) -> str:
    """`text` with a name for each value in it."""
    names: dict[str, str] = {}
    for value in values:
        names.setdefault(value.text, "")  # numbers are given in the order of the text
    if not names:
        return text
    kinds = {value.text: value.kind for value in reversed(values)}
    counts = dict.fromkeys(NUMBERED, 0)

    def name(found: re.Match[str]) -> str:
        word = found[0]
        kind = kinds[word]
        if kind in NUMBERED and not names[word]:
            counts[kind] += 1
            names[word] = f"{NUMBERED[kind]}-{counts[kind]}"
        return names[word] or NAMES[kind]

    words = "|".join(re.escape(word) for word in names)
    return re.sub(rf"(?<![\w])(?:{words})(?![\w])", name, text)


def _foreign(text: str) -> str:
    for pattern, words in FOREIGN:
        text = re.sub(pattern, words, text)
    return text


def _without_places(text: str, places: Places) -> str:
    """Files of the project as they are named in it, and no folder that is there this time only."""
    for scratch in {str(places.scratch), str(places.scratch.resolve())}:
        within = rf"{re.escape(scratch)}/(?:[\w.-]+/)*?{re.escape(places.slug)}"
        text = re.sub(rf"{within}/(?=[\w.])", "", text)
        text = re.sub(rf"{within}(?![\w.-])", places.slug, text)
        text = re.sub(rf"{re.escape(scratch)}(?![\w.-])", "SCRATCH", text)
    return text.replace(f"{workspace().course}/", "").replace(f"{ROOT}/", "")


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"
