"""Normalise verdicts: two gradings of the same submission give the same text, to the byte.

Placeholders stand in place of the values that differ from one grading to the next. A verdict holds
two kinds of them. Values of graders and of the kit (ports, run ids, durations, temporary folders)
were recorded where they were made: see kit.verdicts.values. Values in the output of the
submission's own programs (a traceback, a log) are not known. There, patterns find the few things
that every Python program writes differently each time.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kit.verdicts.values import Kind, Value
from kit.verdicts.verdict import TaskVerdict, Verdict
from kit.workspace import ROOT, workspace

# In place of recorded values. Runs and names are numbered in the order of the text.
PLACEHOLDERS = {
    Kind.PORT: "PORT",
    Kind.PID: "PID",
    Kind.SECONDS: "… s",
    Kind.TIME: "TIME",
    Kind.COUNT: "several times",
    Kind.FOLDER: "FOLDER",
}
NUMBERED_PLACEHOLDERS = {Kind.RUN: "run", Kind.NAME: "id"}

# For the output of a submission's programs: patterns and placeholders, applied in order.
SUBMISSION_PATTERNS = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?", "TIME"),
    (r"\bdatetime\.datetime\([^()]*(?:\([^()]*\))?[^()]*\)?", "TIME"),
    (
        r"(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b",
        "TIME",
    ),  # seconds since 1970, or fractions of them
    (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "UUID"),
    (r"\b(?=[a-f]*\d)[0-9a-f]{16,64}\b", "HEX"),
    (r"\b0x[0-9a-fA-F]{5,}", "0xADDRESS"),
    (r"\b1[34]\d{13}\b", "ADDRESS"),  # what id() returns
    (r"\b(ForkPoolWorker-|Thread-|Task-)\d+", r"\1N"),
    (r"(?i)\b(p?pid)(\W{1,3})\d+", r"\1\2PID"),
    (r"\b(process) \[\d+\]", r"\1 [PID]"),  # in uvicorn's log
    # The eight random characters in a name made by `tempfile`.
    (r"((?:/var/folders/\w+/\w+/T|/var/tmp|/tmp)/[\w.-]*?)[a-z0-9_]{8}\b", r"\1NAME"),
)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class ProjectLocation:
    """Where a project was graded: in a folder named by its slug, at any depth below `scratch`."""

    slug: str
    scratch: Path


def normalised(verdict: Verdict, location: ProjectLocation) -> Verdict:
    """The verdict with placeholders: another grading of the same work gives an equal one."""
    values = sorted(
        verdict.values, key=lambda value: -len(value.text)
    )  # a value may be a part of a longer one
    tasks = tuple(_without_partial_word(task) for task in verdict.tasks)
    return replace(verdict, tasks=tasks, values=()).mapped(
        lambda text: _replace_patterns(
            _replace_paths(_replace_values(replace_unprintable(text), values), location)
        )
    )


def replace_unprintable(text: str) -> str:
    """`text` with a visible sign for each unprintable character: ESC becomes ␛."""
    return UNPRINTABLE.sub(_visible_sign, text)


def _without_partial_word(task: TaskVerdict) -> TaskVerdict:
    """Without the last word of a text that was cut: how much of the word is left is chance."""
    failure = task.failure
    if failure is None or not failure.cut:
        return task
    kept = re.sub(r"""[^\s"',]*\Z""", "", failure.got)
    return replace(task, failure=replace(failure, got=kept))


def _replace_values(text: str, values: list[Value]) -> str:
    """`text` with a placeholder for each recorded value in it."""
    names: dict[str, str] = {}
    for value in values:
        names.setdefault(value.text, "")  # empty until its number is known
    if not names:
        return text
    kinds = {value.text: value.kind for value in reversed(values)}
    counts = dict.fromkeys(NUMBERED_PLACEHOLDERS, 0)

    def name(found: re.Match[str]) -> str:
        word = found[0]
        kind = kinds[word]
        if kind in NUMBERED_PLACEHOLDERS and not names[word]:
            counts[kind] += 1
            names[word] = f"{NUMBERED_PLACEHOLDERS[kind]}-{counts[kind]}"
        return names[word] or PLACEHOLDERS[kind]

    words = "|".join(re.escape(word) for word in names)
    return re.sub(rf"(?<![\w])(?:{words})(?![\w])", name, text)


def _replace_patterns(text: str) -> str:
    for pattern, words in SUBMISSION_PATTERNS:
        text = re.sub(pattern, words, text)
    return text


def _replace_paths(text: str, location: ProjectLocation) -> str:
    """Paths in the project as relative ones, and no folder that exists for one grading only."""
    for scratch in {str(location.scratch), str(location.scratch.resolve())}:
        within = rf"{re.escape(scratch)}/(?:[\w.-]+/)*?{re.escape(location.slug)}"
        text = re.sub(rf"{within}/(?=[\w.])", "", text)
        text = re.sub(rf"{within}(?![\w.-])", location.slug, text)
        text = re.sub(rf"{re.escape(scratch)}(?![\w.-])", "SCRATCH", text)
    return text.replace(f"{workspace().course}/", "").replace(f"{ROOT}/", "")


def _visible_sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"
