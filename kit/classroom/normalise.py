"""Words instead of what is different each time: two gradings of the same work read the same.

Run ids, ports, temporary folders, durations, pids, times and addresses become `run-1`, `PORT`
and the like. What a grader says of itself (a port of ours, "within 15 s") stays.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from kit.grading.verdict import TaskVerdict, Verdict
from kit.workspace import ROOT, workspace

FIRST_EPHEMERAL = 32768  # below it, a port is one that somebody chose

# The rules are applied in order; what comes first may be part of what comes later.
RULES = (
    # Times
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?", "TIME"),
    (r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d(?: GMT)?", "TIME"),
    (r"\bdatetime\.datetime\([^()]*(?:\([^()]*\))?[^()]*\)?", "TIME"),
    (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "TIME"),
    (r"(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b", "TIME"),  # since 1970
    (r"\b([Rr])un run-(\d+)", r"\1un-\2"),
    # Processes, threads, addresses
    (r"(?i)\b(p?pid)(\W{1,3})\d+", r"\1\2PID"),
    (r"(?i)\b(process) \[\d+\]", r"\1 [PID]"),
    (r"\b(ForkPoolWorker-|Thread-|Task-)\d+", r"\1N"),
    (r"\b0x[0-9a-fA-F]{5,}", "0xADDRESS"),
    (r"\b1[34]\d{13}\b", "ADDRESS"),  # what id() says
    # tempfile's names: below where it puts them, whatever comes before its eight letters
    (
        r"((?:/private)?(?:/var/folders/\w+/\w+/T|/var/tmp|/tmp)/(?:tmp|[\w.-]*[-_]))[a-z0-9_]{8}\b",
        r"\1NAME",
    ),
)
# What was measured. A grader's own limits are whole, or stand in what it expected.
MEASURED = (
    (r"\b\d+\.\d+ ?(s|ms|seconds|milliseconds)\b", r"… \1"),
    (r"\b(\d+)\.\d{5,}\b", r"\1.…"),
    # Who comes first in a race, and how many get through, is chance.
    (r"(?m)^((?:Got +| +)?)\d+ times 202(?:, \d+ times \d{3})*", r"\g<1>202 several times"),
)
PORT = re.compile(
    r"(?i)((?:127\.0\.0\.1|localhost|0\.0\.0\.0|::1?\]?)(?::|', )|\bport[ =:]+)(\d{5})\b"
)
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Where runs are named: the id itself may look like anything.
RUN = re.compile(
    r"""["']?\b(?:run_id|running)["']?\s*[:=]\s*["']([\w-]{6,})["']"""
    r"""|/(?:status|output)/([\w-]{6,})"""
    r"""|\b[Rr]un ([\w-]{6,})\b"""
)
WORD = re.compile(r"(?<![\w-])[\w-]{6,}(?![\w-])")
# No word of eight letters has only these; eight digits may be a number, unless a run is named so.
HEX = r"(?<![\w#])(?=[0-9]*[a-f])[0-9a-f]{8,64}(?!\w)"
# "ada-3f2a1c", as graders call somebody, and others too.
MARKED = r"(?:(?<=\bada-)|(?<=\bmark-)|(?<=[a-z]-)(?=[a-f]*[0-9]))[0-9a-f]{6,64}(?!\w)"
CUT = re.compile(r"""[^\s"',]* … \((\d+) characters\)""")
GOT = re.compile(r"^Got {7}.*(?:\n {10}.*)*", re.MULTILINE)
LABELLED = re.compile(r"^(We did|Expected|Got|Look at) {2}", re.MULTILINE)
NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Places:
    """Where a project was graded: in a folder named by its slug, somewhere below `scratch`."""

    slug: str
    scratch: Path


def steady(text: str, places: Places | None = None) -> str:
    """`text` with what is different each time in words."""
    text = printable(text)
    if places is not None:
        text = _without_places(text, places)
    text = CUT.sub(" … (cut short)", text)
    text = _named(text)
    for pattern, words in RULES:
        text = re.sub(pattern, words, text)
    text = PORT.sub(_port, text)
    if LABELLED.search(text):
        return GOT.sub(lambda found: _measured(found[0]), text)
    return _measured(text)


def steady_verdict(verdict: Verdict, places: Places) -> Verdict:
    """A verdict whose words are steady."""

    def say(text: str) -> str:
        return steady(text, places)

    tasks = [
        TaskVerdict(
            each.number,
            each.title,
            each.passed,
            say(each.message),
            [say(note) for note in each.notes],
        )
        for each in verdict.tasks
    ]
    return Verdict(verdict.exercise, verdict.seconds, tasks, say(verdict.problem))


def _without_places(text: str, places: Places) -> str:
    """Files of the project as they are named in it, and no folder that is there this time only."""
    for scratch in {str(places.scratch), str(places.scratch.resolve())}:
        within = rf"{re.escape(scratch)}/(?:[\w.-]+/)*?{re.escape(places.slug)}"
        text = re.sub(rf"{within}/(?=[\w.])", "", text)
        text = re.sub(rf"{within}(?![\w.-])", places.slug, text)
        text = re.sub(rf"{re.escape(scratch)}(?![\w.-])", "SCRATCH", text)
    return text.replace(f"{workspace().course}/", "").replace(f"{ROOT}/", "")


def printable(text: str) -> str:
    """`text` with a visible sign for each character that is none: ESC becomes ␛."""
    return NOT_TEXT.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\ufffd"


def _measured(text: str) -> str:
    for pattern, words in MEASURED:
        text = re.sub(pattern, words, text)
    return text


def _named(text: str) -> str:
    """Each id under a name of its own, in the order in which they come."""
    runs = {each for found in RUN.finditer(text) if (each := _id(found)) and _is_random(each)}
    names: dict[str, str] = {}
    counts = {"run": 0, "id": 0}

    def name(found: re.Match[str]) -> str:
        word = found[0]
        if word not in names:
            kind = "run" if word in runs else "id"
            counts[kind] += 1
            names[word] = f"{kind}-{counts[kind]}"
        return names[word]

    # Words are looked up: to look for each run in all of the text would take for ever with many.
    text = WORD.sub(lambda found: name(found) if found[0] in runs else found[0], text)
    return re.sub(rf"\b{UUID}\b|{HEX}|{MARKED}", name, text)


def _id(found: re.Match[str]) -> str:
    return next(filter(None, found.groups()), "")


def _is_random(word: str) -> bool:
    """Whether it looks like an id that was made up, rather than a word or a counter."""
    return bool(re.search(r"\d", word)) or bool(re.fullmatch(r"[0-9a-f]{8,}", word))


def _port(found: re.Match[str]) -> str:
    return f"{found[1]}PORT" if int(found[2]) >= FIRST_EPHEMERAL else found[0]
